//! Metrics: one of a name for the whole proxy, and ids of each VM's own.

use crate::Status;
use regex_lite::Regex;
use std::collections::BTreeMap;
use std::fmt;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricKind {
    /// It grows.
    Counter,
    /// It is set.
    Gauge,
    /// It collects values.
    Histogram,
}

/// What a metric shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricValue {
    /// The sum of a counter.
    Counter(u64),
    /// The newest value of a gauge.
    Gauge(u64),
    /// Every value of a histogram, in order.
    Histogram(Vec<u64>),
}

/// A metric as it is shown: its tags taken out of the name by which the plugin defined it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricName {
    /// What it is: one name may be several.
    pub kind: MetricKind,
    /// The name by which plugins defined it.
    pub defined: String,
    /// The name without its tags.
    pub name: String,
    /// Tags and their values, in the order of the extractors.
    pub tags: Vec<(String, String)>,
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.tags.is_empty() {
            return Ok(());
        }
        let tags: Vec<String> =
            self.tags.iter().map(|(tag, value)| format!("{tag}=\"{value}\"")).collect();
        write!(f, "{{{}}}", tags.join(","))
    }
}

/// Takes a tag out of names, as an entry of `stats_tags` in Envoy's bootstrap does: the first group
/// is taken out of the name, the second one, or else the first, is the tag's value.
#[derive(Debug, Clone)]
pub struct TagExtractor {
    tag: String,
    regex: Regex,
}

impl TagExtractor {
    /// An extractor of a tag.
    ///
    /// # Errors
    /// That the expression cannot be read.
    pub fn new(tag: impl Into<String>, regex: &str) -> Result<Self, regex_lite::Error> {
        Ok(Self { tag: tag.into(), regex: Regex::new(regex)? })
    }

    fn take(&self, name: &mut MetricName) {
        let Some(found) = self.regex.captures(&name.name) else { return };
        let Some(out) = found.get(1) else { return };
        let value = found.get(2).unwrap_or(out).as_str().to_owned();
        let (head, tail) = (name.name.get(..out.start()), name.name.get(out.end()..));
        name.name = [head.unwrap_or_default(), tail.unwrap_or_default()].concat();
        name.tags.push((self.tag.clone(), value));
    }
}

/// The metrics of a proxy by the names that plugins gave them.
#[derive(Debug, Default)]
pub(crate) struct Registry(BTreeMap<(MetricKind, String), MetricValue>);

impl Registry {
    fn define(&mut self, kind: MetricKind, name: &str) {
        let empty = match kind {
            MetricKind::Counter => MetricValue::Counter(0),
            MetricKind::Gauge => MetricValue::Gauge(0),
            MetricKind::Histogram => MetricValue::Histogram(Vec::new()),
        };
        self.0.entry((kind, name.to_owned())).or_insert(empty);
    }

    /// Adds to a counter that the host itself keeps.
    pub(crate) fn count(&mut self, name: &str) {
        self.define(MetricKind::Counter, name);
        if let Some(MetricValue::Counter(sum)) =
            self.0.get_mut(&(MetricKind::Counter, name.to_owned()))
        {
            *sum = sum.wrapping_add(1);
        }
    }

    pub(crate) fn shown(&self, extractors: &[TagExtractor]) -> BTreeMap<MetricName, MetricValue> {
        let show = |kind: MetricKind, name: &str| {
            let (defined, name) = (name.to_owned(), name.to_owned());
            let mut shown = MetricName { kind, defined, name, tags: Vec::new() };
            for extractor in extractors {
                extractor.take(&mut shown);
            }
            shown
        };
        self.0.iter().map(|((kind, name), value)| (show(*kind, name), value.clone())).collect()
    }
}

/// The lowest two bits of an id say what it names.
const KIND_MASK: u32 = 0b11;
const ID_STEP: u32 = 4;

/// The metrics of a VM. Every definition makes an id that lives as long as the VM.
#[derive(Debug, Default)]
pub(crate) struct VmMetrics {
    names: BTreeMap<u32, (MetricKind, String)>,
    /// How many there are of each kind.
    defined: [u32; 3],
}

impl VmMetrics {
    /// How many ids there are: more than names means that somebody defines again and again.
    pub(crate) fn ids(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn define(
        &mut self,
        registry: &mut Registry,
        kind: u32,
        name: &str,
    ) -> Result<u32, Status> {
        let kind_of = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Histogram,
            _ => return Err(Status::BadArgument),
        };
        registry.define(kind_of, name);
        let of_kind = self.defined.get_mut(kind as usize).ok_or(Status::BadArgument)?;
        let before = *of_kind;
        *of_kind = before.wrapping_add(1);
        let id = before.wrapping_add(1).wrapping_mul(ID_STEP) | kind;
        self.names.insert(id, (kind_of, name.to_owned()));
        Ok(id)
    }

    fn find<'r>(&self, registry: &'r mut Registry, id: u32) -> Result<&'r mut MetricValue, Status> {
        let name = self.names.get(&id).ok_or(Status::NotFound)?;
        registry.0.get_mut(name).ok_or(Status::NotFound)
    }

    pub(crate) fn increment(
        &self,
        registry: &mut Registry,
        id: u32,
        offset: i64,
    ) -> Result<(), Status> {
        // A histogram's id, or no kind at all, is not looked up.
        if id & KIND_MASK > 1 {
            return Err(Status::BadArgument);
        }
        match self.find(registry, id)? {
            MetricValue::Counter(_) if offset <= 0 => return Err(Status::BadArgument),
            MetricValue::Counter(value) => *value = value.wrapping_add(offset.unsigned_abs()),
            MetricValue::Gauge(value) => *value = value.wrapping_add_signed(offset),
            MetricValue::Histogram(_) => return Err(Status::BadArgument),
        }
        Ok(())
    }

    pub(crate) fn record(
        &self,
        registry: &mut Registry,
        id: u32,
        value: u64,
    ) -> Result<(), Status> {
        match self.find(registry, id)? {
            MetricValue::Counter(sum) => *sum = sum.wrapping_add(value),
            MetricValue::Gauge(known) => *known = value,
            MetricValue::Histogram(values) => values.push(value),
        }
        Ok(())
    }

    pub(crate) fn get(&self, registry: &mut Registry, id: u32) -> Result<u64, Status> {
        if id & KIND_MASK > 1 {
            return Err(Status::BadArgument);
        }
        match self.find(registry, id)? {
            MetricValue::Counter(value) | MetricValue::Gauge(value) => Ok(*value),
            MetricValue::Histogram(_) => Err(Status::BadArgument),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Registry, TagExtractor, VmMetrics};
    use crate::Status;

    #[test]
    fn ids_are_of_a_vm_and_metrics_of_the_proxy() {
        let (mut registry, mut one, mut two) =
            (Registry::default(), VmMetrics::default(), VmMetrics::default());
        let a = one.define(&mut registry, 0, "hits").unwrap();
        let b = two.define(&mut registry, 0, "hits").unwrap();
        let again = two.define(&mut registry, 0, "hits").unwrap();
        assert_ne!(b, again, "each definition makes an id");
        assert_eq!(two.ids(), 2);
        one.increment(&mut registry, a, 1).unwrap();
        two.increment(&mut registry, again, 2).unwrap();
        assert_eq!(one.get(&mut registry, a), Ok(3));
        for offset in [0, -1] {
            assert_eq!(one.increment(&mut registry, a, offset), Err(Status::BadArgument));
        }
        assert_eq!(one.increment(&mut registry, 400, 1), Err(Status::NotFound));
        assert_eq!(one.define(&mut registry, 3, "x"), Err(Status::BadArgument));
        let histogram = one.define(&mut registry, 2, "took").unwrap();
        assert_eq!(one.record(&mut registry, histogram, 5), Ok(()));
        assert_eq!(one.get(&mut registry, histogram), Err(Status::BadArgument));
    }

    #[test]
    fn tags_are_taken_out_of_names() {
        let mut registry = Registry::default();
        registry.count("reason=.=loop;.;hits");
        let extractor = TagExtractor::new("reason", r"(reason=\.=(.*?);\.;)").unwrap();
        let shown: Vec<String> =
            registry.shown(&[extractor]).keys().map(ToString::to_string).collect();
        assert_eq!(shown, ["hits{reason=\"loop\"}"]);
    }
}

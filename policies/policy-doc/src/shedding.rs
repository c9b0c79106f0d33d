//! `LoadShedding`: how much is let in.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Spanned, quote};
use crate::document::Document;
use crate::fields::{Fields, Shape};
use crate::mesh::Mesh;
use crate::scope::Scope;
use crate::value::time;
use crate::yaml::{Content, Entry, Reading};
use core::ops::RangeInclusive;
use policy_core::wire::{Baseline, LoadShedding, Retries, Spill};
use policy_core::{CohortSource, Mode, PriorityHeader, ShedAt, SheddingMode};
use std::collections::BTreeMap;

const LOAD_SHEDDING: Shape = Shape {
    what: "`spec` of a `LoadShedding`",
    keys: &[
        "mode",
        "shedAt",
        "status",
        "concurrency",
        "latency",
        "cohort",
        "retries",
        "neverShed",
        "priorityHeader",
        "brownout",
        "spill",
    ],
    later: &[],
};
const RETRIES: Shape = Shape { what: "`retries`", keys: &["budget", "floor"], later: &[] };
const SPILL: Shape = Shape { what: "`spill`", keys: &["above", "margin"], later: &[] };

/// Keys that say how limits that follow a latency do it.
const OF_FOLLOWING: [&str; 3] = ["cohort", "retries", "brownout"];

const DEFAULT_POOL: &str = LoadShedding::DEFAULT_POOL;
const SPILL_MARGIN: u16 = 20;

/// Reads a `LoadShedding`.
pub(crate) fn decode(
    document: &Document<'_>,
    scope: &Scope,
    mesh: Option<&Mesh>,
    sink: &mut Sink,
) -> Option<LoadShedding> {
    let fields = document.fields(&LOAD_SHEDDING, sink)?;
    let mode = fields.need("mode", sink).and_then(|entry| entry.word::<SheddingMode>(sink));
    let mode = mode.map_or(SheddingMode::Enforce, |mode| mode.value);
    let shed_at = fields.get("shedAt").and_then(|entry| entry.word::<ShedAt>(sink));
    let status = fields.get("status").and_then(|entry| entry.one_of(&[503, 429], sink));
    let pools = Pools::decode(&fields, scope, sink);
    if mode != SheddingMode::Disabled {
        pools.check(&fields, sink);
        pools.check_following(&fields, mesh.is_none_or(|mesh| mesh.hmac.is_some()), sink);
    }
    let never_shed = fields.get("neverShed").map(|entry| entry.texts(sink)).unwrap_or_default();
    Some(LoadShedding {
        mode,
        shed_at: shed_at.map_or(ShedAt::Inbound, |place| place.value),
        status: status.map_or(503, |status| status.value),
        never_shed: pools.without(never_shed, scope, sink),
        concurrency: pools.limits(),
        latency: pools.latency.values().collect(),
        cohort: match fields.get("cohort") {
            None => CohortSource::ALL.to_vec(),
            Some(entry) => entry.words(sink).into_iter().map(|source| source.value).collect(),
        },
        retries: fields.get("retries").and_then(|entry| retries(entry, sink)).unwrap_or_default(),
        priority_header: fields.word_or("priorityHeader", PriorityHeader::Honour, sink),
        brownout: fields.word_or("brownout", Mode::Enforce, sink),
        spill: fields.get("spill").and_then(|entry| spill(entry, sink)),
    })
}

/// What is said of pools.
struct Pools {
    concurrency: ByPool<u32>,
    latency: ByPool<Baseline>,
}

/// A pool and what is said of it; what could not be read has been reported, and is none.
type Said<T> = (Spanned<String>, Option<T>);

/// What a mapping says of each pool.
struct ByPool<T> {
    said: Vec<Said<T>>,
    /// Whether every key is a pool: otherwise one of them may be what is missing.
    is_clear: bool,
}

impl Pools {
    fn decode(fields: &Fields<'_>, scope: &Scope, sink: &mut Sink) -> Self {
        let limit = |entry: &Entry, sink: &mut Sink| {
            let (least, most) = LoadShedding::CONCURRENCY.into_inner();
            let limit = entry.value.number(&entry.what(), least.into()..=most.into(), sink)?;
            u32::try_from(limit.value).ok()
        };
        Self {
            concurrency: ByPool::decode(fields, "concurrency", limit, scope, sink),
            latency: ByPool::decode(fields, "latency", baseline, scope, sink),
        }
    }

    /// What the limit of a pool follows; nothing if that could not be read.
    fn baseline(&self, pool: &str) -> Option<Baseline> {
        let said = self.latency.of(pool).or_else(|| self.latency.of(DEFAULT_POOL));
        said.map_or(Some(Baseline::Fixed), |(_, baseline)| *baseline)
    }

    /// A limit that stays as it is has to be said.
    fn check(&self, fields: &Fields<'_>, sink: &mut Sink) {
        if !self.concurrency.is_clear || !self.latency.is_clear {
            return;
        }
        let lacks_limit = |pool: &str| {
            self.baseline(pool) == Some(Baseline::Fixed) && self.concurrency.of(pool).is_none()
        };
        if lacks_limit(DEFAULT_POOL) {
            let (message, at) = match fields.get("concurrency") {
                Some(entry) => {
                    (format!("`concurrency` lacks the key `{DEFAULT_POOL}`"), entry.key.span)
                }
                None => {
                    (format!("{} lacks the key `concurrency`", LOAD_SHEDDING.what), fields.at())
                }
            };
            sink.push(Diagnostic::error(codes::MISSING_KEY, message).at(at).help(
                "say how many requests all contexts without a pool of their own may have in flight, or let the limit follow what is measured: `latency: {default: auto}`",
            ));
        }
        let named = self.latency.pools().filter(|pool| pool.value != DEFAULT_POOL);
        for pool in named.filter(|pool| lacks_limit(&pool.value)) {
            let name = &pool.value;
            let message =
                format!("the limit of {} is fixed, and `concurrency` does not say it", quote(name));
            sink.push(Diagnostic::error(codes::MISSING_KEY, message).at(pool.span).help(format!(
                "add it, such as `concurrency: {{{name}: 16}}`, or let it follow what is measured: `auto`",
            )));
        }
    }

    /// Some settings are of limits that follow a latency alone, and workers need a key to follow it
    /// together.
    fn check_following(&self, fields: &Fields<'_>, has_keys: bool, sink: &mut Sink) {
        if !self.concurrency.is_clear || !self.latency.is_clear {
            return;
        }
        // What could not be read may have been meant to.
        let follows = |(_, baseline): &Said<Baseline>| *baseline != Some(Baseline::Fixed);
        let Some((pool, _)) = self.latency.said.iter().find(|said| follows(said)) else {
            let said = OF_FOLLOWING.iter().filter_map(|key| fields.get(key));
            for entry in said {
                let message = format!(
                    "{} has no effect: no limit follows a latency",
                    quote(&entry.key.value)
                );
                sink.push(Diagnostic::error(codes::NOTHING_FOLLOWS, message).at(entry.key.span).help(
                    "let one follow what is measured, such as `latency: {default: auto}`, or leave this out",
                ));
            }
            return;
        };
        if !has_keys {
            let message =
                "limits follow a latency, and the `Mesh` has no key: each worker of a proxy \
                           sheds by what it sees alone"
                    .to_owned();
            let entry = fields.get("latency").map_or(pool.span, |entry| entry.key.span);
            sink.push(Diagnostic::warning(codes::FOLLOWS_ALONE, message).at(entry).help(
                "add `hmac` to the `Mesh`, so that workers believe each other and a user is treated alike everywhere",
            ));
        }
    }

    /// The contexts that are counted nowhere: they have no pool.
    fn without(&self, names: Vec<Spanned<String>>, scope: &Scope, sink: &mut Sink) -> Vec<String> {
        let mut without = Vec::new();
        for name in names {
            if !scope.contexts.check(&name, sink) {
                continue;
            }
            let mut pools = self.concurrency.pools().chain(self.latency.pools());
            if let Some(pool) = pools.find(|pool| pool.value == name.value) {
                let message = format!("{} is never shed, and has a pool", quote(&name.value));
                sink.push(
                    Diagnostic::error(codes::EXCLUSIVE, message)
                        .at(name.span)
                        .related(pool.span, "its requests would never be counted in it"),
                );
            }
            without.push(name.value);
        }
        without
    }

    /// The limit of every pool, also of those that need not say it.
    fn limits(&self) -> BTreeMap<String, u32> {
        let named = self.latency.pools().map(|pool| pool.value.as_str());
        let adaptive = named
            .chain([DEFAULT_POOL])
            .filter(|pool| self.baseline(pool).is_some_and(|it| it != Baseline::Fixed))
            .map(|pool| (pool.to_owned(), LoadShedding::CONCURRENCY_AT_FIRST));
        adaptive.chain(self.concurrency.values()).collect()
    }
}

impl<T: Copy> ByPool<T> {
    fn decode(
        fields: &Fields<'_>,
        key: &str,
        read: impl Fn(&Entry, &mut Sink) -> Option<T>,
        scope: &Scope,
        sink: &mut Sink,
    ) -> Self {
        let entry = fields.get(key);
        let items = entry.and_then(|entry| entry.some_entries(sink));
        // A key that is there is not missing either way.
        let mut by_pool = Self { said: Vec::new(), is_clear: items.is_some() || fields.lacks(key) };
        for item in items.unwrap_or_default() {
            let name = item.name("a context", sink);
            let value = read(item, sink);
            let name =
                name.filter(|name| name.value == DEFAULT_POOL || scope.contexts.check(name, sink));
            by_pool.is_clear &= name.is_some();
            by_pool.said.extend(name.map(|name| (name, value)));
        }
        by_pool
    }

    /// What is said of a pool, if anything is.
    fn of(&self, pool: &str) -> Option<&Said<T>> {
        self.said.iter().find(|(name, _)| name.value == pool)
    }

    fn pools(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.said.iter().map(|(name, _)| name)
    }

    fn values(&self) -> impl Iterator<Item = (String, T)> {
        self.said.iter().filter_map(|(name, value)| Some((name.value.clone(), (*value)?)))
    }
}

/// What the limit of a pool follows: a word, or what was promised.
fn baseline(entry: &Entry, sink: &mut Sink) -> Option<Baseline> {
    if let Content::Scalar(scalar) = &entry.value.content {
        let text = scalar.text.as_str();
        let is_word = scalar.reading() == Reading::Text
            && text.starts_with(|first: char| first.is_ascii_alphabetic());
        match text {
            "auto" => return Some(Baseline::Auto),
            "fixed" => return Some(Baseline::Fixed),
            _ if is_word => {
                let message = format!("{} cannot be {}", entry.what(), quote(text));
                sink.push(
                    Diagnostic::error(codes::UNKNOWN_WORD, message).at(entry.value.span).help(
                        "a limit follows what is measured (`auto`), a latency that was promised (`300ms`) or nothing (`fixed`)",
                    ),
                );
                return None;
            }
            _ => {}
        }
    }
    time(entry, Baseline::SLO_MS, sink).map(|ms| Baseline::Slo { ms })
}

/// How many requests may be tries of others.
fn retries(entry: &Entry, sink: &mut Sink) -> Option<Retries> {
    entry.some_entries(sink)?;
    let fields = Fields::open_at(&entry.value, entry.key.span, &RETRIES, sink)?;
    let Retries { budget, floor } = Retries::default();
    let budget = number_or(&fields, "budget", budget, Retries::BUDGET, sink);
    let floor = number_or(&fields, "floor", floor, Retries::FLOOR, sink);
    Some(Retries { budget: budget?, floor: floor? })
}

/// When reads go to a region that has less to do.
fn spill(entry: &Entry, sink: &mut Sink) -> Option<Spill> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &SPILL, sink)?;
    let above = fields.need("above", sink).and_then(|entry| number(entry, Spill::PERCENT, sink));
    let margin = number_or(&fields, "margin", SPILL_MARGIN, Spill::PERCENT, sink);
    Some(Spill { above: above?, margin: margin? })
}

/// A number that may be missing. Nothing if it could not be read.
fn number_or(
    fields: &Fields<'_>,
    key: &str,
    default: u16,
    bounds: RangeInclusive<u16>,
    sink: &mut Sink,
) -> Option<u16> {
    match fields.get(key) {
        None => Some(default),
        Some(entry) => number(entry, bounds, sink),
    }
}

fn number(entry: &Entry, bounds: RangeInclusive<u16>, sink: &mut Sink) -> Option<u16> {
    let bounds = u64::from(*bounds.start())..=u64::from(*bounds.end());
    let number = entry.value.number(&entry.what(), bounds, sink)?;
    u16::try_from(number.value).ok()
}

//! `Topology`: the regions.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned};
use crate::document::Document;
use crate::fields::{Fields, Shape, twice};
use crate::value::{check_country, check_identifier, malformed};
use crate::yaml::Node;
use policy_core::{RegionId, wire};
use std::collections::BTreeMap;

const TOPOLOGY: Shape = Shape { what: "`spec` of a `Topology`", keys: &["regions"], later: &[] };
const REGION: Shape = Shape {
    what: "a region",
    keys: &["name", "code", "jurisdiction", "cloudRegion"],
    later: &["serves"],
};

/// The regions as declared.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    pub(crate) regions: Vec<wire::Region>,
    pub(crate) cloud_regions: BTreeMap<String, String>,
    /// Where each region is declared.
    pub(crate) spans: Vec<Span>,
    /// Whether some name is not what it was meant to be.
    pub(crate) unclear: bool,
}

/// A longer name of a cloud region is none.
const CLOUD_REGION_LEN_MAX: usize = 64;

/// What no two regions may have in common.
#[derive(Default)]
struct Own {
    codes: Vec<Spanned<String>>,
    cloud_regions: Vec<(String, Spanned<String>)>,
}

impl Own {
    /// Where an upstream is has to be one region's affair.
    fn check_names(&self, topology: &Topology, sink: &mut Sink) {
        for (name, cloud_region) in &self.cloud_regions {
            let called = &cloud_region.value;
            if called != name && topology.regions.iter().any(|region| region.name == *called) {
                let message =
                    format!("the `cloudRegion` of `{name}` is the name of another region");
                sink.push(Diagnostic::error(codes::NAME_TWICE, message).at(cloud_region.span));
            }
        }
    }
}

/// Reads a `Topology`.
pub(crate) fn decode(document: &Document<'_>, sink: &mut Sink) -> Option<Topology> {
    let fields = document.fields(&TOPOLOGY, sink)?;
    let entry = fields.need("regions", sink)?;
    let items = entry.items(sink)?;
    if items.len() > RegionId::MAX {
        let message = format!("a policy set has at most {} regions", RegionId::MAX);
        sink.push(Diagnostic::error(codes::TOO_LARGE, message).at(entry.key.span));
    }
    let mut topology = Topology::default();
    let mut own = Own::default();
    for item in items {
        region(item, &mut topology, &mut own, sink);
    }
    own.check_names(&topology, sink);
    Some(topology)
}

fn region(item: &Node, topology: &mut Topology, own: &mut Own, sink: &mut Sink) -> Option<()> {
    let fields = Fields::open(item, &REGION, sink)?;
    let name = fields.need("name", sink).and_then(|entry| entry.text(sink));
    let code = fields.need("code", sink).and_then(|entry| entry.text(sink));
    let jurisdiction = fields.need("jurisdiction", sink).and_then(|entry| entry.text(sink));
    let cloud_region = fields.get("cloudRegion").and_then(|entry| entry.text(sink));
    if let Some(code) = &code {
        if code.value.len() != 3 || !code.value.bytes().all(|byte| byte.is_ascii_lowercase()) {
            sink.push(malformed("`code`", code, "use three lower-case letters, such as `tpe`"));
        }
        if let Some(first) = own.codes.iter().find(|known| known.value == code.value) {
            sink.push(twice("code", &code.value, code.span, first.span));
        }
        own.codes.push(code.clone());
    }
    if let Some(jurisdiction) = &jurisdiction {
        check_country(jurisdiction, sink);
    }
    if let Some(cloud_region) = &cloud_region {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let fits = cloud_region.value.len() <= CLOUD_REGION_LEN_MAX;
        if !fits || !cloud_region.value.bytes().all(is_plain) {
            let help = format!("use letters, digits and `-`, {CLOUD_REGION_LEN_MAX} at most");
            sink.push(malformed("`cloudRegion`", cloud_region, &help));
        }
    }
    let Some(name) = name else {
        topology.unclear = true;
        return None;
    };
    topology.unclear |= !check_identifier("`name`", &name, 32, sink);
    let position = topology.regions.iter().position(|known| known.name == name.value);
    if let Some(first) = position.and_then(|position| topology.spans.get(position)) {
        sink.push(twice("region", &name.value, name.span, *first));
        topology.unclear = true;
        return None;
    }
    if let Some(cloud_region) = &cloud_region {
        let is_it = |known: &&(String, Spanned<String>)| known.1.value == cloud_region.value;
        if let Some((_, first)) = own.cloud_regions.iter().find(is_it) {
            sink.push(twice("cloudRegion", &cloud_region.value, cloud_region.span, first.span));
        }
        topology.cloud_regions.insert(name.value.clone(), cloud_region.value.clone());
        own.cloud_regions.push((name.value.clone(), cloud_region.clone()));
    }
    topology.spans.push(name.span);
    topology.regions.push(wire::Region {
        name: name.value,
        code: code.map(|code| code.value).unwrap_or_default(),
        jurisdiction: jurisdiction.map(|country| country.value).unwrap_or_default(),
        locality: cloud_region.map(|cloud_region| cloud_region.value),
        peer_ids: Vec::new(),
        gateway_ids: Vec::new(),
        workload_ids: Vec::new(),
    });
    Some(())
}

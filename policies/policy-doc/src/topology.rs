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
    let mut codes: Vec<Spanned<String>> = Vec::new();
    for item in items {
        region(item, &mut topology, &mut codes, sink);
    }
    Some(topology)
}

fn region(
    item: &Node,
    topology: &mut Topology,
    codes: &mut Vec<Spanned<String>>,
    sink: &mut Sink,
) -> Option<()> {
    let fields = Fields::open(item, &REGION, sink)?;
    let name = fields.need("name", sink).and_then(|entry| entry.text(sink));
    let code = fields.need("code", sink).and_then(|entry| entry.text(sink));
    let jurisdiction = fields.need("jurisdiction", sink).and_then(|entry| entry.text(sink));
    let cloud_region = fields.get("cloudRegion").and_then(|entry| entry.text(sink));
    if let Some(code) = &code {
        if code.value.len() != 3 || !code.value.bytes().all(|byte| byte.is_ascii_lowercase()) {
            sink.push(malformed("`code`", code, "use three lower-case letters, such as `tpe`"));
        }
        if let Some(first) = codes.iter().find(|known| known.value == code.value) {
            sink.push(twice("code", &code.value, code.span, first.span));
        }
        codes.push(code.clone());
    }
    if let Some(jurisdiction) = &jurisdiction {
        check_country(jurisdiction, sink);
    }
    if let Some(cloud_region) = &cloud_region
        && !cloud_region.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        sink.push(malformed("`cloudRegion`", cloud_region, "use letters, digits and `-`"));
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
    if let Some(cloud_region) = cloud_region {
        topology.cloud_regions.insert(name.value.clone(), cloud_region.value);
    }
    topology.spans.push(name.span);
    topology.regions.push(wire::Region {
        name: name.value,
        code: code.map(|code| code.value).unwrap_or_default(),
        jurisdiction: jurisdiction.map(|country| country.value).unwrap_or_default(),
        peer_ids: Vec::new(),
        gateway_ids: Vec::new(),
        workload_ids: Vec::new(),
    });
    Some(())
}

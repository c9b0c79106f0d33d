//! What is known of the regions: the part that a static state and the states of a test share.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Spanned, quote};
use crate::fields::{Fields, Shape};
use crate::scope::Scope;
use crate::yaml::{Content, Entry, Node};
use policy_core::{Health, Lease, LeaseState, Policy, Situation, wire};
use std::collections::BTreeMap;

const LEASE: Shape = Shape { what: "a lease", keys: &["state", "holder", "epoch"], later: &[] };

/// Reads `situation`, `health` and `leases`.
pub(crate) fn decode(
    fields: &Fields<'_>,
    scope: &Scope,
    sink: &mut Sink,
) -> (wire::StateDocument, Vec<Holder>) {
    let mut document = wire::StateDocument::default();
    let mut holders = Vec::new();
    document.situation = fields
        .get("situation")
        .and_then(|entry| entry.word::<Situation>(sink))
        .map(|situation| situation.value);
    let health = fields.get("health").and_then(|entry| entry.some_entries(sink));
    for item in health.unwrap_or_default() {
        let region = item.name("a region", sink).filter(|name| scope.regions.check(name, sink));
        let health = item.word::<Health>(sink);
        if let (Some(region), Some(health)) = (region, health) {
            document.health.insert(region.value, health.value);
        }
    }
    let leases = fields.get("leases").and_then(|entry| entry.some_entries(sink));
    for item in leases.unwrap_or_default() {
        let name = item.name("a lease", sink).filter(|name| scope.leases.check(name, sink));
        let Some((lease, holder)) = lease(item, scope, sink) else { continue };
        let Some(name) = name else { continue };
        holders.extend(holder.map(|holder| Holder { lease: name.value.clone(), holder }));
        document.leases.insert(name.value, lease);
    }
    (document, holders)
}

/// Who is said to hold a lease.
#[derive(Debug)]
pub(crate) struct Holder {
    lease: String,
    holder: Spanned<String>,
}

impl Holder {
    /// Reports a holder in a region where the lease can never be.
    pub(crate) fn check(&self, policy: &Policy, sink: &mut Sink) {
        let Some((lease, shard)) = policy.find_lease(&self.lease) else { return };
        let Some(region) = policy.region(&self.holder.value) else { return };
        let Some(shard) = policy.leases().get(lease).and_then(|lease| lease.shards.get(shard))
        else {
            return;
        };
        if shard.possible.contains(region) {
            return;
        }
        let names: Vec<String> =
            shard.possible.iter().map(|region| quote(policy.region_name(region))).collect();
        let message =
            format!("{} cannot hold the lease {}", quote(&self.holder.value), quote(&self.lease));
        sink.push(
            Diagnostic::error(codes::HOLDER, message)
                .at(self.holder.span)
                .help(format!("its data may only be in {}", names.join(" and "))),
        );
    }
}

fn lease(
    item: &Entry,
    scope: &Scope,
    sink: &mut Sink,
) -> Option<(wire::LeaseDocument, Option<Spanned<String>>)> {
    let fields = Fields::open_at(&item.value, item.key.span, &LEASE, sink)?;
    let state = fields.get("state").and_then(|entry| entry.word::<LeaseState>(sink));
    let held = state.is_none_or(|state| state.value == LeaseState::Active);
    let need = |key: &str, sink: &mut Sink| {
        if held && fields.get("state").is_none_or(|_| state.is_some()) {
            fields.need(key, sink)
        } else {
            fields.get(key)
        }
    };
    let holder = need("holder", sink)
        .and_then(|entry| entry.text(sink))
        .filter(|holder| scope.regions.check(holder, sink));
    let epoch = need("epoch", sink).and_then(|entry| epoch(&entry.value, sink));
    let document = wire::LeaseDocument {
        state: state.map(|state| state.value),
        holder: holder.as_ref().map(|holder| holder.value.clone()),
        epoch,
    };
    Some((document, holder))
}

/// An epoch, as a number or as a string of digits.
fn epoch(node: &Node, sink: &mut Sink) -> Option<String> {
    if let Content::Scalar(scalar) = &node.content
        && let Ok(epoch) = scalar.text.parse::<u64>()
        && (1..=Lease::EPOCH_MAX).contains(&epoch)
        && scalar.text.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some(epoch.to_string());
    }
    node.number("`epoch`", 1..=Lease::EPOCH_MAX, sink).map(|epoch| epoch.value.to_string())
}

fn overlay<V: Clone>(base: &mut BTreeMap<String, V>, over: &BTreeMap<String, V>) {
    base.extend(over.iter().map(|(name, value)| (name.clone(), value.clone())));
}

/// A state on top of another: what it says replaces what the other says, by region and by lease.
pub(crate) fn merge(base: &mut wire::StateDocument, over: &wire::StateDocument) {
    let wire::StateDocument { situation, health, leases } = over;
    if situation.is_some() {
        base.situation = *situation;
    }
    overlay(&mut base.health, health);
    overlay(&mut base.leases, leases);
}

//! What is known of the regions: the part that a static state and the states of a test share.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Spanned, quote};
use crate::fields::{Fields, Shape};
use crate::scope::Scope;
use crate::value::malformed;
use crate::yaml::{Content, Entry, Node};
use policy_core::{Health, Lease, LeaseState, Policy, Situation, wire};
use std::collections::BTreeMap;

/// The keys that [`decode`] reads.
pub(crate) const KEYS: [&str; 7] =
    ["situation", "health", "leases", "lag", "load", "migration", "override"];

const LEASE: Shape = Shape { what: "a lease", keys: &["state", "holder", "epoch"], later: &[] };
const MIGRATION: Shape =
    Shape { what: "`migration`", keys: &["from", "to", "stage", "salt"], later: &[] };
const OVERRIDE: Shape = Shape { what: "`override`", keys: &["mode"], later: &[] };

/// A region that is further behind, or has more to do, than this is no different from one that is not.
const LAG_MAX_MS: u64 = 86_400_000;
const LOAD_MAX: u64 = 1_000;
const SALT_LEN_MAX: usize = 64;

/// Reads everything that region state says.
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
    document.lag_ms = by_region(fields.get("lag"), scope, sink, |entry, sink| {
        u32::try_from(entry.duration_ms(0..=LAG_MAX_MS, sink)?).ok()
    });
    document.load = by_region(fields.get("load"), scope, sink, |entry, sink| {
        u16::try_from(entry.value.number(&entry.what(), 0..=LOAD_MAX, sink)?.value).ok()
    });
    document.migration = fields.get("migration").and_then(|entry| migration(entry, scope, sink));
    document.order = fields.get("override").and_then(|entry| order(entry, sink));
    (document, holders)
}

/// What is said of single regions.
fn by_region<T>(
    entry: Option<&Entry>,
    scope: &Scope,
    sink: &mut Sink,
    read: impl Fn(&Entry, &mut Sink) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut said = BTreeMap::new();
    let items = entry.and_then(|entry| entry.some_entries(sink)).unwrap_or_default();
    for item in items {
        let region = item.name("a region", sink).filter(|name| scope.regions.check(name, sink));
        let value = read(item, sink);
        if let (Some(region), Some(value)) = (region, value) {
            said.insert(region.value, value);
        }
    }
    said
}

fn migration(entry: &Entry, scope: &Scope, sink: &mut Sink) -> Option<wire::MigrationDocument> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &MIGRATION, sink)?;
    let region = |key, sink: &mut Sink| {
        let name = fields.need(key, sink)?.text(sink)?;
        scope.regions.check(&name, sink).then_some(name)
    };
    let (from, to) = (region("from", sink), region("to", sink));
    let stage = fields
        .need("stage", sink)
        .and_then(|entry| entry.value.number(&entry.what(), 0..=100, sink));
    let salt = fields.get("salt").and_then(|entry| entry.text(sink));
    if let Some(salt) = salt.as_ref().filter(|salt| salt.value.len() > SALT_LEN_MAX) {
        let help = format!("use {SALT_LEN_MAX} bytes at most");
        sink.push(malformed("`salt`", salt, &help));
    }
    let (from, to, stage) = (from?, to?, stage?);
    if from.value == to.value {
        let message = "users cannot be moved to the region that they come from";
        sink.push(
            Diagnostic::error(codes::EXCLUSIVE, message)
                .at(to.span)
                .related(from.span, "they come from here"),
        );
        return None;
    }
    Some(wire::MigrationDocument {
        stage: u8::try_from(stage.value).ok()?,
        from: from.value,
        to: to.value,
        salt: salt.map(|salt| salt.value).unwrap_or_default(),
    })
}

/// What an operator has ordered. To force a lease is the agents' affair: what proxies see of it is a
/// lease like any other.
fn order(entry: &Entry, sink: &mut Sink) -> Option<wire::OverrideMode> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &OVERRIDE, sink)?;
    let mode = fields.need("mode", sink)?.text(sink)?;
    match mode.value.as_str() {
        "freeze" => Some(wire::OverrideMode::Freeze),
        "none" => Some(wire::OverrideMode::None),
        other => {
            let message = format!("`mode` cannot be {}", quote(other));
            let mut diagnostic = Diagnostic::error(codes::UNKNOWN_WORD, message).at(mode.span);
            diagnostic = if other == "force" {
                diagnostic.help("say who holds which lease since then: `leases`")
            } else {
                diagnostic.suggest(other, &["freeze", "none"])
            };
            sink.push(diagnostic);
            None
        }
    }
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
    let wire::StateDocument { situation, health, leases, lag_ms, load, migration, order } = over;
    if situation.is_some() {
        base.situation = *situation;
    }
    overlay(&mut base.health, health);
    overlay(&mut base.leases, leases);
    overlay(&mut base.lag_ms, lag_ms);
    overlay(&mut base.load, load);
    if migration.is_some() {
        base.migration.clone_from(migration);
    }
    if order.is_some() {
        base.order = *order;
    }
}

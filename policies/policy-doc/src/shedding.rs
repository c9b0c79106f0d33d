//! `LoadShedding`: how much is let in.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink};
use crate::document::Document;
use crate::fields::{Fields, Shape};
use crate::scope::Scope;
use policy_core::{Mode, ShedAt, wire};
use std::collections::BTreeMap;

const LOAD_SHEDDING: Shape = Shape {
    what: "`spec` of a `LoadShedding`",
    keys: &["mode", "shedAt", "status", "concurrency"],
    later: &["cohort", "latency"],
};

/// The pool of all contexts that have none of their own.
const DEFAULT_POOL: &str = "default";
const CONCURRENCY_MAX: u64 = 10_000;

/// Reads a `LoadShedding`.
pub(crate) fn decode(
    document: &Document<'_>,
    scope: &Scope,
    sink: &mut Sink,
) -> Option<wire::LoadShedding> {
    let fields = document.fields(&LOAD_SHEDDING, sink)?;
    let mode = fields.mode(sink);
    let enforced = mode.is_none_or(|mode| mode.value == Mode::Enforce);
    let shed_at = fields.get("shedAt").and_then(|entry| entry.word::<ShedAt>(sink));
    let status = fields.get("status").and_then(|entry| entry.one_of(&[503, 429], sink));
    Some(wire::LoadShedding {
        mode: mode.map_or(Mode::Enforce, |mode| mode.value),
        shed_at: shed_at.map_or(ShedAt::Inbound, |place| place.value),
        status: status.map_or(503, |status| status.value),
        concurrency: concurrency(&fields, enforced, scope, sink),
    })
}

fn concurrency(
    fields: &Fields<'_>,
    enforced: bool,
    scope: &Scope,
    sink: &mut Sink,
) -> BTreeMap<String, u32> {
    let mut limits = BTreeMap::new();
    let entry = if enforced { fields.need("concurrency", sink) } else { fields.get("concurrency") };
    let Some(entry) = entry else { return limits };
    let Some(items) = entry.some_entries(sink) else { return limits };
    for item in items {
        let name = item.name("a context", sink);
        let limit = item.value.number(&item.what(), 1..=CONCURRENCY_MAX, sink);
        let name =
            name.filter(|name| name.value == DEFAULT_POOL || scope.contexts.check(name, sink));
        let limit = limit.and_then(|limit| u32::try_from(limit.value).ok());
        if let (Some(name), Some(limit)) = (name, limit) {
            limits.insert(name.value, limit);
        }
    }
    if enforced && !items.iter().any(|item| item.key.value == DEFAULT_POOL) {
        let message = format!("`concurrency` lacks the key `{DEFAULT_POOL}`");
        let help =
            "say how many requests all contexts without a pool of their own may have in flight";
        sink.push(Diagnostic::error(codes::MISSING_KEY, message).at(entry.key.span).help(help));
    }
    limits
}

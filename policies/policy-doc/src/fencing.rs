//! `Fencing`: who may write.

mod times;

use crate::codes;
use crate::contexts::ContextEntry;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::document::Document;
use crate::fields::{Fields, Shape};
use crate::scope::Scope;
use crate::state::{self, Holder};
use crate::yaml::Entry;
use policy_core::{Mode, wire};
use std::collections::BTreeMap;
use times::Times;

const FENCING: Shape = Shape {
    what: "`spec` of a `Fencing`",
    keys: &["mode", "initialHolders", "static", "lease", "health", "transitions", "reroute"],
    later: &[],
};
const STATIC: Shape = Shape { what: "`static`", keys: &state::KEYS, later: &[] };

/// What a `Fencing` says and where.
#[derive(Debug)]
pub(crate) struct Fencing<'n> {
    pub(crate) mode: Option<Spanned<Mode>>,
    holders: Vec<(Spanned<String>, Option<String>)>,
    /// The static state: the names of leases are known only when everything else is.
    pub(crate) static_state: Option<&'n Entry>,
    /// Whether a write that a peer has refused is decided once more.
    pub(crate) reroute: Option<&'n Entry>,
    /// How leases are granted, lost and moved.
    pub(crate) times: Times,
    /// Where the initial holders are, or should be.
    pub(crate) at: Span,
}

/// Reads a `Fencing`.
pub(crate) fn decode<'n>(
    document: &Document<'n>,
    scope: &Scope,
    sink: &mut Sink,
) -> Option<Fencing<'n>> {
    let fields = document.fields(&FENCING, sink)?;
    let mode = fields.mode(sink);
    if let Some(entry) = fields.get("reroute") {
        entry.only("once", &[], sink);
    }
    let entry = fields.get("initialHolders");
    let mut holders = Vec::new();
    for item in entry.and_then(|entry| entry.some_entries(sink)).unwrap_or_default() {
        let context = item.name("a context", sink);
        let region = item.text(sink).filter(|region| scope.regions.check(region, sink));
        let Some(context) = context.filter(|context| scope.contexts.check(context, sink)) else {
            continue;
        };
        holders.push((context, region.map(|region| region.value)));
    }
    Some(Fencing {
        mode,
        holders,
        static_state: fields.get("static"),
        times: Times::decode(&fields, sink),
        reroute: fields.get("reroute"),
        at: entry.map_or(fields.at(), |entry| entry.key.span),
    })
}

impl Fencing<'_> {
    /// What the proxies get, without a static state.
    pub(crate) fn wire(&self) -> wire::Fencing {
        wire::Fencing {
            mode: self.mode.map_or(Mode::Enforce, |mode| mode.value),
            initial_holders: self
                .holders
                .iter()
                .filter_map(|(context, region)| Some((context.value.clone(), region.clone()?)))
                .collect::<BTreeMap<_, _>>(),
            static_state: None,
            lease: self.times.lease,
            reroute: self.reroute.is_some(),
        }
    }

    /// Whether the initial holders are those of the leases without shards.
    pub(crate) fn check(&self, contexts: &[ContextEntry], sink: &mut Sink) {
        let whole = |context: &ContextEntry| {
            context.leased == Some(true) && context.lease.is_none() && context.shard.is_none()
        };
        for (name, _) in &self.holders {
            let Some(context) = contexts.iter().find(|known| known.wire.name == name.value) else {
                continue;
            };
            if whole(context) || context.leased.is_none() {
                continue;
            }
            let why = if context.leased == Some(false) {
                "it is not leased"
            } else if let Some(owner) = &context.wire.lease {
                &format!("it shares the lease of {}", quote(owner))
            } else {
                "its shards start at home"
            };
            let message = format!("{} has no initial holder: {why}", quote(&name.value));
            sink.push(
                Diagnostic::error(codes::INITIAL_HOLDER, message).at(name.span).help("remove it"),
            );
        }
        for context in contexts.iter().filter(|context| whole(context)) {
            if self.holders.iter().any(|(name, _)| name.value == context.wire.name) {
                continue;
            }
            let message = format!("the lease {} has no initial holder", quote(&context.wire.name));
            sink.push(
                Diagnostic::error(codes::INITIAL_HOLDER, message)
                    .at(self.at)
                    .related(context.name, "leased, without shards")
                    .help(format!(
                        "say where it starts: `initialHolders: {{{}: <region>}}`",
                        context.wire.name
                    )),
            );
        }
    }
}

/// Reads the static state.
pub(crate) fn static_state(
    entry: &Entry,
    scope: &Scope,
    sink: &mut Sink,
) -> Option<(wire::StateDocument, Vec<Holder>)> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &STATIC, sink)?;
    Some(state::decode(&fields, scope, sink))
}

//! `Versioning`: how eventual writes are stamped, and what clients are told of versions.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::document::Document;
use crate::fields::{Fields, Shape};
use crate::load::Parts;
use crate::scope::Scope;
use crate::value::time;
use core::ops::RangeInclusive;
use policy_core::{HintCarrier, Mode, OnDrift, OnLostUpdate, wire};

const VERSIONING: Shape = Shape {
    what: "`spec` of a `Versioning`",
    keys: &["mode", "clock", "etag", "onLostUpdate", "causal", "conflicts", "hints"],
    later: &[],
};
const CLOCK: Shape = Shape { what: "`clock`", keys: &["maxDrift", "onDrift"], later: &[] };
const CAUSAL: Shape = Shape { what: "`causal`", keys: &["lifetime"], later: &[] };
const CONFLICTS: Shape = Shape { what: "`conflicts`", keys: &["window"], later: &[] };

/// The largest drift that still means something.
const DRIFT_MS: RangeInclusive<u32> = 1..=3_600_000;

/// What a `Versioning` says and where.
#[derive(Debug)]
pub(crate) struct Versioning {
    pub(crate) wire: wire::Versioning,
    etag: Vec<Spanned<String>>,
    /// The keys that say something of what clients bring back.
    brought_back: Vec<Spanned<String>>,
    /// Where the document says what it is.
    pub(crate) at: Span,
}

/// Reads a `Versioning`.
pub(crate) fn decode(
    document: &Document<'_>,
    scope: &Scope,
    sink: &mut Sink,
) -> Option<Versioning> {
    let fields = document.fields(&VERSIONING, sink)?;
    let mode = fields.mode(sink);
    let open = |key: &str, shape: &Shape, sink: &mut Sink| {
        let entry = fields.get(key)?;
        Fields::open_at(&entry.value, entry.key.span, shape, sink)
    };
    let clock = open("clock", &CLOCK, sink);
    let max_drift = clock.and_then(|clock| clock.get("maxDrift"));
    let etag_entry = fields.get("etag");
    let mut etag = etag_entry.map(|entry| entry.texts(sink)).unwrap_or_default();
    etag.retain(|name| scope.contexts.check(name, sink));
    let causal = open("causal", &CAUSAL, sink);
    let lifetime = causal.and_then(|causal| causal.need("lifetime", sink));
    let conflicts = open("conflicts", &CONFLICTS, sink);
    let window = conflicts.and_then(|conflicts| conflicts.need("window", sink));
    let hints = fields.get("hints");
    if let Some(hints) = hints {
        hints.only(HintCarrier::Baggage.as_str(), &[], sink);
    }
    let defaults = wire::Versioning::default();
    let wire = wire::Versioning {
        mode: mode.map_or(Mode::Enforce, |mode| mode.value),
        max_drift_ms: max_drift
            .and_then(|entry| time(entry, DRIFT_MS, sink))
            .unwrap_or(defaults.max_drift_ms),
        on_drift: clock.map_or(OnDrift::Tag, |clock| clock.word_or("onDrift", OnDrift::Tag, sink)),
        etag: etag.iter().map(|name| name.value.clone()).collect(),
        on_lost_update: fields.word_or("onLostUpdate", OnLostUpdate::Pass, sink),
        causal_lifetime_ms: lifetime
            .and_then(|entry| time(entry, wire::Versioning::CAUSAL_LIFETIME_MS, sink)),
        conflict_window_ms: window
            .and_then(|entry| time(entry, wire::Versioning::CONFLICT_WINDOW_MS, sink))
            .unwrap_or(defaults.conflict_window_ms),
        hints: hints.map(|_| HintCarrier::Baggage),
    };
    if wire.on_lost_update == OnLostUpdate::Deny
        && etag_entry.is_none()
        && let Some(entry) = fields.get("onLostUpdate")
    {
        sink.push(
            Diagnostic::error(codes::MISSING_KEY, "`onLostUpdate: deny` needs `etag`")
                .at(entry.key.span)
                .help(
                    "name the contexts whose writers say what they have seen: `etag: [<context>]`",
                ),
        );
    }
    let brought_back = [etag_entry, fields.get("causal")];
    Some(Versioning {
        wire,
        etag,
        brought_back: brought_back.into_iter().flatten().map(|entry| entry.key.clone()).collect(),
        at: fields.at(),
    })
}

impl Versioning {
    /// What it asks of the other documents: eventual contexts, and a key.
    pub(crate) fn check(&self, parts: &Parts<'_>, sink: &mut Sink) {
        for name in &self.etag {
            let named = |context: &&crate::contexts::ContextEntry| context.wire.name == name.value;
            let Some(context) = parts.contexts.iter().find(named) else { continue };
            if context.leased == Some(true) {
                let message =
                    format!("`etag` is only for eventual contexts, not {}", quote(&name.value));
                sink.push(
                    Diagnostic::error(codes::EVENTUAL_ONLY, message)
                        .at(name.span)
                        .related(context.name, format!("`{}`", context.wire.consistency))
                        .help(
                            "writes of a leased context are in order already, and carry no version",
                        ),
                );
            }
        }
        let has_keys = parts.mesh.as_ref().is_none_or(|mesh| mesh.hmac.is_some());
        for key in self.brought_back.iter().filter(|_| !has_keys) {
            let message = format!(
                "{} needs a key: what clients bring back has to be proven",
                quote(&key.value)
            );
            sink.push(
                Diagnostic::error(codes::NO_KEY, message)
                    .at(key.span)
                    .help("add `hmac` to the `Mesh`"),
            );
        }
    }
}

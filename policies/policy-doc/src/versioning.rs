//! `Versioning`: how eventual writes are stamped.

use crate::diagnostic::Sink;
use crate::document::Document;
use crate::fields::{Fields, Shape};
use policy_core::{Mode, OnDrift, wire};

const VERSIONING: Shape =
    Shape { what: "`spec` of a `Versioning`", keys: &["mode", "clock"], later: &["etag", "merge"] };
const CLOCK: Shape = Shape { what: "`clock`", keys: &["maxDrift", "onDrift"], later: &[] };

/// The largest drift that still means something.
const DRIFT_MAX_MS: u64 = 3_600_000;
const DRIFT_DEFAULT_MS: u32 = 500;

/// Reads a `Versioning`.
pub(crate) fn decode(document: &Document<'_>, sink: &mut Sink) -> Option<wire::Versioning> {
    let fields = document.fields(&VERSIONING, sink)?;
    let mode = fields.mode(sink);
    let clock = fields
        .get("clock")
        .and_then(|entry| Fields::open_at(&entry.value, entry.key.span, &CLOCK, sink));
    let max_drift_ms = clock
        .and_then(|clock| clock.get("maxDrift"))
        .and_then(|entry| entry.duration_ms(1..=DRIFT_MAX_MS, sink))
        .and_then(|drift| u32::try_from(drift).ok());
    let on_drift = clock.map_or(OnDrift::Tag, |clock| clock.word_or("onDrift", OnDrift::Tag, sink));
    Some(wire::Versioning {
        mode: mode.map_or(Mode::Enforce, |mode| mode.value),
        max_drift_ms: max_drift_ms.unwrap_or(DRIFT_DEFAULT_MS),
        on_drift,
    })
}

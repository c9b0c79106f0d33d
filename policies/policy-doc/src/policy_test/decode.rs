//! `PolicyTest` documents.

use super::PolicyTest;
use super::case::{At, Stage};
use super::request::{Cast, Who};
use super::state::{self, NORMAL};
use crate::diagnostic::Sink;
use crate::document::Document;
use crate::fields::{Fields, Shape};
use crate::scope::Scope;
use policy_core::Role;

const POLICY_TEST: Shape = Shape {
    what: "`spec` of a `PolicyTest`",
    keys: &["defaults", "callers", "states", "requests", "cases"],
    later: &["engines", "steps"],
};
const DEFAULTS: Shape =
    Shape { what: "`defaults`", keys: &["at", "state", "request", "caller"], later: &[] };

/// Reads a `PolicyTest`.
pub(crate) fn decode(
    document: &Document<'_>,
    file: &str,
    scope: &Scope,
    sink: &mut Sink,
) -> Option<PolicyTest> {
    let fields = document.fields(&POLICY_TEST, sink)?;
    let cast = Cast::decode(&fields, scope, sink);
    let states = state::decode(&fields, &cast, scope, sink);
    let mut stage = Stage {
        scope,
        cast,
        states,
        at: At { region: None, role: Role::Edge },
        state: NORMAL.to_owned(),
        request: None,
        has_request: false,
        caller: Who::Anonymous,
    };
    if let Some(entry) = fields.get("defaults")
        && let Some(defaults) = Fields::open_at(&entry.value, entry.key.span, &DEFAULTS, sink)
    {
        stage.defaults(&defaults, sink);
    }
    let mut names = Vec::new();
    let mut cases = Vec::new();
    let items = fields.need("cases", sink).and_then(|entry| entry.items(sink));
    for item in items.unwrap_or_default() {
        cases.extend(stage.cases(item, &mut names, sink).unwrap_or_default());
    }
    Some(PolicyTest {
        name: document.name.as_ref()?.value.clone(),
        file: file.to_owned(),
        cases,
        states: stage.states,
    })
}

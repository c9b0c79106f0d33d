//! `PolicyTest` documents.

use super::request::{Cast, Who};
use super::state::{self, NORMAL};
use super::{Case, PolicyTest, TestCaller, TestRequest, WorldState, expect, extends};
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned};
use crate::document::Document;
use crate::fields::{Fields, Shape, twice};
use crate::scope::Scope;
use crate::value::malformed;
use crate::yaml::{Entry, Node};
use policy_core::Role;
use std::collections::BTreeMap;

const POLICY_TEST: Shape = Shape {
    what: "`spec` of a `PolicyTest`",
    keys: &["defaults", "callers", "states", "requests", "cases"],
    later: &["engines", "steps"],
};
const DEFAULTS: Shape =
    Shape { what: "`defaults`", keys: &["at", "state", "request", "caller"], later: &[] };
const AT: Shape = Shape { what: "`at`", keys: &["region", "role"], later: &[] };
const CASE: Shape = Shape {
    what: "a case",
    keys: &["name", "at", "caller", "state", "request", "expect"],
    later: &["engines", "steps", "repeat"],
};

/// How long the name of a case may be.
const NAME_MAX: usize = 120;

/// Everything that the cases of a document refer to.
struct Stage<'s> {
    scope: &'s Scope,
    cast: Cast,
    states: BTreeMap<String, WorldState>,
    region: Option<String>,
    state: String,
    request: Option<TestRequest>,
    /// Whether there is a default request, readable or not.
    has_request: bool,
    caller: Option<TestCaller>,
}

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
        region: None,
        state: NORMAL.to_owned(),
        request: None,
        has_request: false,
        caller: None,
    };
    if let Some(entry) = fields.get("defaults")
        && let Some(defaults) = Fields::open_at(&entry.value, entry.key.span, &DEFAULTS, sink)
    {
        stage.defaults(&defaults, sink);
    }
    let mut names: Vec<Spanned<String>> = Vec::new();
    let mut cases = Vec::new();
    let items = fields.need("cases", sink).and_then(|entry| entry.items(sink));
    for item in items.unwrap_or_default() {
        cases.extend(stage.case(item, &mut names, sink));
    }
    Some(PolicyTest {
        name: document.name.as_ref()?.value.clone(),
        file: file.to_owned(),
        cases,
        states: stage.states,
    })
}

impl Stage<'_> {
    fn defaults(&mut self, fields: &Fields<'_>, sink: &mut Sink) {
        if let Some(at) = fields.get("at") {
            self.region = self.at(at, sink);
        }
        if let Some(entry) = fields.get("state")
            && let Some(state) = self.state(entry, sink)
        {
            self.state = state;
        }
        if let Some(entry) = fields.get("request") {
            self.has_request = true;
            self.request = self.cast.request(entry, self.scope, sink);
        }
        if let Some(entry) = fields.get("caller") {
            self.caller = self.cast.caller(entry, sink).and_then(Who::caller);
        }
    }

    /// The region that `at` names.
    fn at(&self, entry: &Entry, sink: &mut Sink) -> Option<String> {
        let fields = Fields::open_at(&entry.value, entry.key.span, &AT, sink)?;
        if let Some(role) = fields.get("role") {
            role.word::<Role>(sink);
        }
        let region = fields.get("region")?.text(sink)?;
        self.scope.regions.check(&region, sink).then_some(region.value)
    }

    fn state(&self, entry: &Entry, sink: &mut Sink) -> Option<String> {
        let name = entry.text(sink)?;
        if self.states.contains_key(&name.value) {
            return Some(name.value);
        }
        extends::unknown("state", &name, self.states.keys(), sink);
        None
    }

    fn case(&self, item: &Node, names: &mut Vec<Spanned<String>>, sink: &mut Sink) -> Option<Case> {
        let fields = Fields::open(item, &CASE, sink)?;
        let name = fields.need("name", sink).and_then(|entry| entry.text(sink));
        if let Some(name) = &name {
            check_name(name, names, sink);
        }
        let entry_region = match fields.get("at") {
            None => self.region.clone(),
            Some(entry) => match self.at(entry, sink) {
                None if names_region(entry) => None,
                region => region.or_else(|| self.region.clone()),
            },
        };
        if entry_region.is_none() && !fields.get("at").is_some_and(names_region) {
            missing("at: {region: …}", fields.at(), sink);
        }
        let state_name = match fields.get("state") {
            None => Some(self.state.clone()),
            Some(entry) => self.state(entry, sink),
        };
        let request = if let Some(entry) = fields.get("request") {
            self.cast.request(entry, self.scope, sink)
        } else {
            if !self.has_request {
                missing("request", fields.at(), sink);
            }
            self.request.clone()
        };
        let caller = match fields.get("caller") {
            Some(entry) => self.cast.caller(entry, sink).map(Who::caller),
            None => Some(self.caller.clone()),
        };
        let expect =
            fields.need("expect", sink).and_then(|entry| expect::decode(entry, self.scope, sink));
        let state_name = state_name?;
        let name = name?;
        Some(Case {
            line: name.span.line,
            name: name.value,
            entry: entry_region?,
            state: self.states.get(&state_name)?.clone(),
            state_name,
            caller: caller?,
            request: request?,
            expect: expect?,
        })
    }
}

fn check_name(name: &Spanned<String>, names: &mut Vec<Spanned<String>>, sink: &mut Sink) {
    if name.value.chars().count() > NAME_MAX || name.value.chars().any(char::is_control) {
        let help = format!("use one line of at most {NAME_MAX} characters");
        sink.push(malformed("the name of a case", name, &help));
    }
    if let Some(first) = names.iter().find(|known| known.value == name.value) {
        sink.push(twice("case", &name.value, name.span, first.span));
    }
    names.push(name.clone());
}

fn missing(key: &str, at: Span, sink: &mut Sink) {
    let message = format!("a case lacks the key `{key}`, and `defaults` has none");
    sink.push(Diagnostic::error(codes::MISSING_KEY, message).at(at));
}

fn names_region(entry: &Entry) -> bool {
    match &entry.value.content {
        crate::yaml::Content::Mapping(entries) => {
            entries.iter().any(|entry| entry.key.value == "region")
        }
        _ => true,
    }
}

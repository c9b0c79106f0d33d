//! One item of `cases`: what it says itself, what `defaults` says, and what its matrix makes of it.

use super::caller::misfit;
use super::matrix::{Choice, Matrix, suffix};
use super::request::{Cast, Who};
use super::row::ROWS;
use super::{Case, TestRequest, WorldState, expect, extends};
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::fields::{Fields, Shape, twice};
use crate::scope::Scope;
use crate::value::{malformed, word};
use crate::yaml::{Entry, Node};
use policy_core::Role;
use std::collections::BTreeMap;

const AT: Shape = Shape { what: "`at`", keys: &["region", "role"], later: &[] };
const CASE: Shape = Shape {
    what: "a case",
    keys: &["name", "at", "caller", "state", "request", "matrix", "covers", "expect"],
    later: &["engines", "steps", "repeat"],
};

/// How long the name of a case may be.
const NAME_MAX: usize = 120;

/// Everything that the cases of a document refer to.
pub(super) struct Stage<'s> {
    pub(super) scope: &'s Scope,
    pub(super) cast: Cast,
    pub(super) states: BTreeMap<String, WorldState>,
    pub(super) at: At,
    pub(super) state: String,
    pub(super) request: Option<TestRequest>,
    /// Whether there is a default request, readable or not.
    pub(super) has_request: bool,
    pub(super) caller: Who,
}

/// The proxy that a request is sent to.
#[derive(Debug, Clone)]
pub(super) struct At {
    pub(super) region: Option<String>,
    pub(super) role: Role,
}

impl Stage<'_> {
    /// Reads `defaults`.
    pub(super) fn defaults(&mut self, fields: &Fields<'_>, sink: &mut Sink) {
        if let Some(entry) = fields.get("at")
            && let Some(at) = self.at(entry, sink)
        {
            self.at = at;
        }
        if let Some(entry) = fields.get("state")
            && let Some(name) = entry.text(sink)
            && let Some(state) = self.state(&name, sink)
        {
            self.state = state;
        }
        if let Some(entry) = fields.get("request") {
            self.has_request = true;
            self.request = self.cast.request(entry, self.scope, sink);
        }
        if let Some(entry) = fields.get("caller")
            && let Some(who) = self.cast.caller(entry, sink)
        {
            self.caller = who;
        }
    }

    /// What `at` says, and for the rest `defaults`. Nothing if it cannot be read.
    fn at(&self, entry: &Entry, sink: &mut Sink) -> Option<At> {
        let fields = Fields::open_at(&entry.value, entry.key.span, &AT, sink)?;
        let mut at = self.at.clone();
        let mut readable = true;
        if let Some(entry) = fields.get("role") {
            match entry.word::<Role>(sink) {
                Some(role) => at.role = role.value,
                None => readable = false,
            }
        }
        if let Some(entry) = fields.get("region") {
            let region = entry.text(sink);
            match region.filter(|region| self.scope.regions.check(region, sink)) {
                Some(region) => at.region = Some(region.value),
                None => readable = false,
            }
        }
        readable.then_some(at)
    }

    fn state(&self, name: &Spanned<String>, sink: &mut Sink) -> Option<String> {
        if self.states.contains_key(&name.value) {
            return Some(name.value.clone());
        }
        extends::unknown("state", name, self.states.keys(), sink);
        None
    }

    /// The cases that an item stands for, if all of it can be read.
    pub(super) fn cases(
        &self,
        item: &Node,
        names: &mut Vec<Spanned<String>>,
        sink: &mut Sink,
    ) -> Option<Vec<Case>> {
        let fields = Fields::open(item, &CASE, sink)?;
        let name = fields.need("name", sink).and_then(|entry| entry.text(sink));
        if let Some(name) = &name {
            check_name(name, sink);
            if fields.get("matrix").is_none() {
                take(name, names, sink);
            }
        }
        let choices = self.choices(&fields, sink);
        let covers = fields.get("covers").map(|entry| covers(entry, sink)).unwrap_or_default();
        let expect =
            fields.need("expect", sink).and_then(|entry| expect::decode(entry, self.scope, sink));
        let (name, choices, expect) = (name?, choices?, expect?);
        let mut cases = Vec::new();
        let mut nobody: Vec<String> = Vec::new();
        let mut strangers: Vec<(Span, Role, String)> = Vec::new();
        choices.each(|one| {
            let own = Spanned {
                value: format!("{}{}", name.value, suffix(one.labels())),
                span: name.span,
            };
            if own.value != name.value {
                take(&own, names, sink);
            }
            let (region, role) = (&one.region.value, one.role.value);
            let Some(state) = self.states.get(&one.state.value) else { return };
            if state.lost().contains(region.as_str()) && !nobody.contains(region) {
                nobody.push(region.clone());
                sink.push(nobody_there(region, &one.state.value, one.state.place));
            }
            let caller = one.caller.value.clone().caller();
            let in_flight = state.in_flight.iter().map(|other| (&other.caller, one.state.place));
            for (caller, place) in [(&caller, one.caller.place)].into_iter().chain(in_flight) {
                let Some(misfit) = misfit(caller.as_ref(), role, region) else { continue };
                let stranger = (place, role, region.clone());
                if !strangers.contains(&stranger) {
                    strangers.push(stranger);
                    sink.push(misfit.at(caller.as_ref(), place));
                }
            }
            cases.push(Case {
                line: own.span.line,
                name: own.value,
                region: region.clone(),
                role,
                state: state.clone(),
                state_name: one.state.value.clone(),
                caller,
                request: one.request.value.clone(),
                expect: expect.clone(),
                covers: covers.clone(),
            });
        });
        Some(cases)
    }

    /// What the cases of an item may be, each by itself.
    fn choices(&self, fields: &Fields<'_>, sink: &mut Sink) -> Option<Choices> {
        let matrix = Matrix::decode(fields, sink);
        let broken = matrix.is_none();
        let matrix = matrix.unwrap_or_default();
        let place = |key: &str| fields.get(key).map_or(fields.at(), |entry| entry.value.span);
        let at = match fields.get("at") {
            None => Some(self.at.clone()),
            Some(entry) => self.at(entry, sink),
        };
        let region = match &matrix.region {
            Some(names) => Choice::of("region", names, |name| {
                self.scope.regions.check(name, sink).then(|| name.value.clone())
            }),
            None => match at.as_ref().map(|at| at.region.clone()) {
                Some(Some(region)) => Choice::only(region, place("at")),
                Some(None) if !broken => {
                    missing("at: {region: …}", fields.at(), sink);
                    Vec::new()
                }
                _ => Vec::new(),
            },
        };
        let role = match &matrix.role {
            Some(names) => Choice::of("role", names, |name| word::<Role>("a role", name, sink)),
            None => at.map(|at| Choice::only(at.role, place("at"))).unwrap_or_default(),
        };
        let state = match (&matrix.state, fields.get("state")) {
            (Some(names), _) => Choice::of("state", names, |name| self.state(name, sink)),
            (None, Some(entry)) => entry
                .text(sink)
                .and_then(|name| self.state(&name, sink))
                .map(|state| Choice::only(state, entry.value.span))
                .unwrap_or_default(),
            (None, None) => Choice::only(self.state.clone(), fields.at()),
        };
        let request = match (&matrix.request, fields.get("request")) {
            (Some(names), _) => {
                Choice::of("request", names, |name| self.cast.request_named(name, self.scope, sink))
            }
            (None, Some(entry)) => self
                .cast
                .request(entry, self.scope, sink)
                .map(|request| Choice::only(request, entry.value.span))
                .unwrap_or_default(),
            (None, None) => {
                if !self.has_request && !broken {
                    missing("request", fields.at(), sink);
                }
                let request = self.request.clone();
                request.map(|request| Choice::only(request, fields.at())).unwrap_or_default()
            }
        };
        let caller = match (&matrix.caller, fields.get("caller")) {
            (Some(names), _) => {
                Choice::of("caller", names, |name| self.cast.caller_named(name, sink))
            }
            (None, Some(entry)) => self
                .cast
                .caller(entry, sink)
                .map(|who| Choice::only(who, entry.value.span))
                .unwrap_or_default(),
            (None, None) => Choice::only(self.caller.clone(), fields.at()),
        };
        (!broken).then_some(Choices { state, region, role, request, caller })
    }
}

/// What the cases of an item may be, each by itself; nothing of what could not be read.
struct Choices {
    state: Vec<Choice<String>>,
    region: Vec<Choice<String>>,
    role: Vec<Choice<Role>>,
    request: Vec<Choice<TestRequest>>,
    caller: Vec<Choice<Who>>,
}

/// One of them.
struct One<'c> {
    state: &'c Choice<String>,
    region: &'c Choice<String>,
    role: &'c Choice<Role>,
    request: &'c Choice<TestRequest>,
    caller: &'c Choice<Who>,
}

impl Choices {
    /// Every one, those of one state together.
    fn each(&self, mut see: impl FnMut(&One<'_>)) {
        for state in &self.state {
            for region in &self.region {
                for role in &self.role {
                    for request in &self.request {
                        for caller in &self.caller {
                            see(&One { state, region, role, request, caller });
                        }
                    }
                }
            }
        }
    }
}

impl One<'_> {
    fn labels(&self) -> [&Option<String>; 5] {
        let Self { state, region, role, request, caller } = self;
        [&caller.label, &request.label, &state.label, &region.label, &role.label]
    }
}

fn check_name(name: &Spanned<String>, sink: &mut Sink) {
    if name.value.chars().count() > NAME_MAX || name.value.chars().any(char::is_control) {
        let help = format!("use one line of at most {NAME_MAX} characters");
        sink.push(malformed("the name of a case", name, &help));
    }
}

/// Takes a name that no other case of the document may have.
fn take(name: &Spanned<String>, names: &mut Vec<Spanned<String>>, sink: &mut Sink) {
    match names.iter().find(|known| known.value == name.value) {
        Some(first) => sink.push(twice("case", &name.value, name.span, first.span)),
        None => names.push(name.clone()),
    }
}

/// The rows that a case shows.
fn covers(entry: &Entry, sink: &mut Sink) -> Vec<String> {
    let known: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
    let mut rows = Vec::new();
    for row in entry.texts(sink) {
        if known.contains(&row.value.as_str()) {
            rows.push(row.value);
            continue;
        }
        let message = format!("there is no row {} to cover", quote(&row.value));
        sink.push(
            Diagnostic::error(codes::UNKNOWN_ROW, message).at(row.span).suggest(&row.value, &known),
        );
    }
    rows
}

/// Reports a case whose own proxy is gone.
fn nobody_there(region: &str, state: &str, at: Span) -> Diagnostic {
    let message =
        format!("{} is gone in the state {}, so nobody answers there", quote(region), quote(state));
    Diagnostic::error(codes::NOBODY_THERE, message)
        .at(at)
        .help("send the request to another region, by `at`")
}

fn missing(key: &str, at: Span, sink: &mut Sink) {
    let message = format!("a case lacks the key `{key}`, and `defaults` has none");
    sink.push(Diagnostic::error(codes::MISSING_KEY, message).at(at));
}

//! The states of a test: what is true of the world when a request arrives.

use super::extends::{Extends, Named, chain};
use super::request::Cast;
use super::{InFlight, WorldState};
use crate::diagnostic::{Sink, Spanned};
use crate::fields::{Fields, Shape};
use crate::scope::Scope;
use crate::state;
use crate::yaml::{Entry, Node};
use policy_core::wire::StateDocument;
use std::collections::BTreeMap;

const STATE: Shape = Shape {
    what: "a state",
    keys: &[
        "extends",
        "situation",
        "health",
        "leases",
        "lag",
        "load",
        "migration",
        "override",
        "views",
        "unreachable",
        "inFlight",
    ],
    later: &["shed", "clock"],
};
const VIEW: Shape = Shape { what: "a view", keys: &state::KEYS, later: &["clock"] };
const IN_FLIGHT: Shape =
    Shape { what: "an item of `inFlight`", keys: &["request", "caller", "count"], later: &[] };

/// The state that exists whether it is declared or not.
pub(super) const NORMAL: &str = "normal";

const IN_FLIGHT_MAX: u64 = 1000;

/// A state as written, before what it extends is filled in.
#[derive(Debug, Default)]
struct RawState {
    extends: Option<Spanned<String>>,
    document: StateDocument,
    /// What single regions see otherwise, by region: each on top of what all see.
    views: BTreeMap<String, StateDocument>,
    unreachable: Option<Vec<String>>,
    in_flight: Option<Vec<InFlight>>,
}

impl Extends for RawState {
    const WHAT: &'static str = "state";

    fn base(&self) -> Option<&Spanned<String>> {
        self.extends.as_ref()
    }
}

/// Reads `states`. One that cannot be read is there by name and holds nothing.
pub(super) fn decode(
    fields: &Fields<'_>,
    cast: &Cast,
    scope: &Scope,
    sink: &mut Sink,
) -> BTreeMap<String, WorldState> {
    let mut raws: Named<RawState> = Named::new();
    raws.insert(NORMAL.to_owned(), RawState::default());
    let entries = fields.get("states").and_then(|entry| entry.some_entries(sink));
    for item in entries.unwrap_or_default() {
        let name = item.identifier_key("a state", sink);
        let state = raw(item, cast, scope, sink).unwrap_or_default();
        if let Some(name) = name {
            raws.insert(name.value, state);
        }
    }
    let finish = |(name, raw): (&String, &RawState)| {
        let mut state = WorldState::default();
        let mut views: BTreeMap<String, StateDocument> = BTreeMap::new();
        for layer in chain(raw, Some(name), &raws, sink).unwrap_or_default() {
            let RawState { extends: _, document, views: own, unreachable, in_flight } = layer;
            state::merge(&mut state.document, document);
            for (region, view) in own {
                state::merge(views.entry(region.clone()).or_default(), view);
            }
            if let Some(unreachable) = unreachable {
                state.unreachable.clone_from(unreachable);
            }
            if let Some(in_flight) = in_flight {
                state.in_flight.clone_from(in_flight);
            }
        }
        for (region, view) in &views {
            let mut seen = state.document.clone();
            state::merge(&mut seen, view);
            state.views.insert(region.clone(), seen);
        }
        (name.clone(), state)
    };
    raws.iter().map(finish).collect()
}

fn raw(item: &Entry, cast: &Cast, scope: &Scope, sink: &mut Sink) -> Option<RawState> {
    let fields = Fields::open_at(&item.value, item.key.span, &STATE, sink)?;
    // A lease may be said to be where its data may not be: a test shows what happens then.
    let (document, _) = state::decode(&fields, scope, sink);
    let views = fields.get("views").and_then(|entry| entry.some_entries(sink));
    let views = views.unwrap_or_default().iter().filter_map(|item| view(item, scope, sink));
    let views = views.collect();
    let unreachable = fields.get("unreachable").map(|entry| {
        let mut regions = entry.texts(sink);
        regions.retain(|region| scope.regions.check(region, sink));
        regions.into_iter().map(|region| region.value).collect()
    });
    let in_flight = fields.get("inFlight").map(|entry| {
        let items = entry.items(sink).unwrap_or_default();
        items.iter().filter_map(|item| in_flight(item, cast, scope, sink)).collect()
    });
    Some(RawState {
        extends: fields.get("extends").and_then(|entry| entry.text(sink)),
        document,
        views,
        unreachable,
        in_flight,
    })
}

/// What one region sees otherwise.
fn view(item: &Entry, scope: &Scope, sink: &mut Sink) -> Option<(String, StateDocument)> {
    let region = item.name("a region", sink).filter(|name| scope.regions.check(name, sink));
    item.some_entries(sink)?;
    let fields = Fields::open_at(&item.value, item.key.span, &VIEW, sink)?;
    let (document, _) = state::decode(&fields, scope, sink);
    Some((region?.value, document))
}

fn in_flight(item: &Node, cast: &Cast, scope: &Scope, sink: &mut Sink) -> Option<InFlight> {
    let fields = Fields::open(item, &IN_FLIGHT, sink)?;
    let count = match fields.get("count") {
        None => 1,
        Some(entry) => entry.value.number(&entry.what(), 1..=IN_FLIGHT_MAX, sink)?.value,
    };
    let caller = match fields.get("caller") {
        None => None,
        Some(entry) => cast.caller(entry, sink)?.caller(),
    };
    let request = cast.request(fields.need("request", sink)?, scope, sink)?;
    Some(InFlight { request, caller, count: u32::try_from(count).ok()? })
}

//! Finding the match of a path in the length of the path.
//!
//! The templates are compiled into a deterministic automaton over segments: each state knows where
//! a literal leads and where any other segment leads, so nothing is tried and taken back, however
//! many routes there are. What a path has reached is a short list of matches, most specific first,
//! of which the first that is for the method is taken.

use crate::path::CanonicalPath;
use crate::template::{Segment, Template};
use crate::vocabulary::Method;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use hashbrown::HashMap;

/// A policy whose templates are so tangled that its states hold more positions than this, taken
/// together, is refused: every VM of every proxy compiles it.
const POSITIONS_MAX: usize = 200_000;

/// Compiled routes.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    states: Box<[State]>,
}

#[derive(Debug, Clone, Default)]
struct State {
    literals: HashMap<Box<[u8]>, u32>,
    /// Where a segment that is no known literal leads.
    other: Option<u32>,
    /// What a path that ends here has matched, most specific first.
    accepts: Box<[Accept]>,
}

#[derive(Debug, Clone, Copy)]
struct Accept {
    /// Method bits; 0 is every method.
    methods: u8,
    route: u32,
}

/// Two routes of which neither is more specific, though some request matches both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguity {
    /// The earlier one, by position in the list.
    pub first: usize,
    /// The later one.
    pub second: usize,
}

/// Every pair of routes of which neither is more specific, though some request matches both. A
/// route is a template and its method bits; 0 is every method, and is less specific than a list.
pub fn ambiguities(routes: &[(Template, u8)]) -> Vec<Ambiguity> {
    let mut found = Vec::new();
    for (second, (later, later_methods)) in routes.iter().enumerate() {
        for (first, (earlier, earlier_methods)) in routes.iter().enumerate().take(second) {
            let methods_overlap = *earlier_methods == 0
                || *later_methods == 0
                || earlier_methods & later_methods != 0;
            if !methods_overlap || !earlier.overlaps(later) {
                continue;
            }
            let clear = match (earlier.is_within(later), later.is_within(earlier)) {
                (true, true) => (*earlier_methods == 0) != (*later_methods == 0),
                (earlier_within, later_within) => earlier_within || later_within,
            };
            if !clear {
                found.push(Ambiguity { first, second });
            }
        }
    }
    found
}

impl Routes {
    /// Compiles unambiguous routes; nothing if they need too many states.
    pub(crate) fn compile(routes: &[(Template, u8)]) -> Option<Self> {
        let mut builder =
            Builder { routes, states: Vec::new(), numbers: BTreeMap::new(), positions: 0 };
        let start = (0..routes.len()).map(|route| Position { route, segment: 0 }).collect();
        builder.state(start)?;
        // States are numbered as they are found; each is filled in from its positions in turn.
        let mut next = 0;
        while let Some((positions, _)) = builder.states.get(next) {
            let positions = positions.clone();
            let state = builder.fill(&positions)?;
            if let Some((_, slot)) = builder.states.get_mut(next) {
                *slot = state;
            }
            next = next.checked_add(1)?;
        }
        Some(Self { states: builder.states.into_iter().map(|(_, state)| state).collect() })
    }

    /// The route of a path for a method.
    pub(crate) fn find(&self, path: &CanonicalPath<'_>, method: Method) -> Option<usize> {
        let mut state = self.states.first()?;
        for segment in path.segments() {
            let next = match state.literals.get(segment) {
                Some(next) => *next,
                None => state.other?,
            };
            state = self.states.get(usize::try_from(next).ok()?)?;
        }
        let accept = state
            .accepts
            .iter()
            .find(|accept| accept.methods == 0 || accept.methods & method.bit() != 0)?;
        usize::try_from(accept.route).ok()
    }
}

/// How far a route has been followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    route: usize,
    segment: usize,
}

struct Builder<'t> {
    routes: &'t [(Template, u8)],
    states: Vec<(Vec<Position>, State)>,
    numbers: BTreeMap<Vec<Position>, u32>,
    /// How many positions the states hold, taken together.
    positions: usize,
}

impl Builder<'_> {
    fn segment(&self, position: Position) -> Option<&Segment> {
        self.routes.get(position.route)?.0.segments().get(position.segment)
    }

    /// The number of the state with these positions, a new one if there is none yet.
    fn state(&mut self, positions: Vec<Position>) -> Option<u32> {
        if let Some(number) = self.numbers.get(&positions) {
            return Some(*number);
        }
        self.positions = self.positions.saturating_add(positions.len());
        if self.positions > POSITIONS_MAX {
            return None;
        }
        let number = u32::try_from(self.states.len()).ok()?;
        self.numbers.insert(positions.clone(), number);
        self.states.push((positions, State::default()));
        Some(number)
    }

    fn fill(&mut self, positions: &[Position]) -> Option<State> {
        let mut literals: Vec<Box<[u8]>> = Vec::new();
        for position in positions {
            if let Some(Segment::Literal(bytes)) = self.segment(*position) {
                literals.push(bytes.clone());
            }
        }
        let mut state = State { accepts: self.accepts(positions), ..State::default() };
        for literal in literals {
            let next = self.step(positions, &literal);
            state.literals.insert(literal, self.state(next)?);
        }
        // No template has a segment like this one: templates are printable ASCII.
        let other = self.step(positions, b"\0");
        if !other.is_empty() {
            state.other = Some(self.state(other)?);
        }
        Some(state)
    }

    fn step(&self, positions: &[Position], bytes: &[u8]) -> Vec<Position> {
        positions
            .iter()
            .filter_map(|position| match self.segment(*position)? {
                Segment::Rest => Some(*position),
                Segment::Literal(literal) if **literal != *bytes => None,
                Segment::Variable(_) | Segment::Literal(_) => {
                    Some(Position { segment: position.segment.checked_add(1)?, ..*position })
                }
            })
            .collect()
    }

    fn accepts(&self, positions: &[Position]) -> Box<[Accept]> {
        let mut accepted: Vec<(Position, &Template, u8)> = positions
            .iter()
            .filter(|position| matches!(self.segment(**position), None | Some(Segment::Rest)))
            .filter_map(|position| {
                let (template, methods) = self.routes.get(position.route)?;
                Some((*position, template, *methods))
            })
            .collect();
        accepted.sort_by_cached_key(|(position, template, methods)| {
            (template.precedence(), *methods == 0, position.route)
        });
        let accepts: Vec<Accept> = accepted
            .into_iter()
            .filter_map(|(position, _, methods)| {
                Some(Accept { methods, route: u32::try_from(position.route).ok()? })
            })
            .collect();
        accepts.into()
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self { states: vec![State::default()].into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn routes(templates: &[(&str, &[Method])]) -> Vec<(Template, u8)> {
        templates
            .iter()
            .map(|(text, methods)| {
                let bits = methods.iter().fold(0, |bits, method| bits | method.bit());
                (Template::parse(text).unwrap(), bits)
            })
            .collect()
    }

    #[test]
    fn the_most_specific_route_for_the_method_wins() {
        use Method::{Delete, Get, Post};
        let routes = routes(&[
            ("/**", &[]),
            ("/a/**", &[]),
            ("/a/{x}", &[]),
            ("/a/b", &[Post]),
            ("/a/b", &[]),
            ("/a/{x}/c", &[Get]),
            ("/a/b/d", &[]),
            ("/s/{x}", &[]),
            ("/", &[Post]),
        ]);
        assert!(ambiguities(&routes).is_empty(), "{:?}", ambiguities(&routes));
        let compiled = Routes::compile(&routes).unwrap();
        for (path, method, expected) in [
            ("/", Get, Some(0)),
            ("/", Post, Some(8)),
            ("/x/y/z", Get, Some(0)),
            ("/a", Get, Some(1)),
            ("/a/", Get, Some(1)),
            ("/a/x", Get, Some(2)),
            ("/a/b", Post, Some(3)),
            ("/a/b", Get, Some(4)),
            ("/a/b/c", Get, Some(5)),
            ("/a/b/c", Delete, Some(1)),
            ("/a/b/d", Delete, Some(6)),
            ("/a/z/d", Delete, Some(1)),
            ("/s/1/", Get, Some(7)),
            ("/s/1", Get, Some(7)),
            ("/a/b/", Post, Some(3)),
        ] {
            let path = CanonicalPath::parse(path.as_bytes()).unwrap();
            assert_eq!(compiled.find(&path, method), expected, "{path:?} {method}");
        }
    }

    #[test]
    fn routes_that_pull_apart_are_found() {
        use Method::{Get, Post};
        for (first, second, ambiguous) in [
            (("/a/{x}/c", &[][..]), ("/a/b/{y}", &[][..]), true),
            (("/a/{x}", &[]), ("/a/{y}", &[]), true),
            (("/a/{x}", &[Get]), ("/a/{y}", &[Post]), false),
            (("/a/{x}", &[Get]), ("/a/{y}", &[]), false),
            (("/a/{x}", &[Get, Post]), ("/a/{y}", &[Post]), true),
            (("/a/b", &[]), ("/a/{y}", &[]), false),
            (("/a/**", &[]), ("/a/{y}", &[]), false),
            (("/a/{x}/**", &[]), ("/a/b", &[]), false),
            (("/{x}/b", &[]), ("/a/**", &[]), true),
        ] {
            let found = ambiguities(&routes(&[first, second]));
            assert_eq!(!found.is_empty(), ambiguous, "{first:?} {second:?}");
        }
    }

    #[test]
    fn a_thousand_routes_cost_a_path_no_more_steps_than_one() {
        let templates: Vec<_> = (0..1000)
            .map(|n| (Template::parse(&alloc::format!("/api/c{n}/{{id}}/**")).unwrap(), 0))
            .collect();
        let compiled = Routes::compile(&templates).unwrap();
        let path = CanonicalPath::parse(b"/api/c999/7/x/y").unwrap();
        assert_eq!(compiled.find(&path, Method::Get), Some(999));
        assert!(compiled.states.len() < 3_100, "{}", compiled.states.len());
    }

    #[test]
    fn tangled_routes_are_refused_and_not_compiled_at_any_cost() {
        let templates: Vec<_> = (0..1000)
            .flat_map(|n| [alloc::format!("/a{n}/c"), alloc::format!("/{{x}}/d{n}")])
            .map(|text| (Template::parse(&text).unwrap(), 0))
            .collect();
        assert!(Routes::compile(&templates).is_none());
    }

    /// The plain reading of the rules, one template after the other.
    fn by_hand(routes: &[(Template, u8)], path: &CanonicalPath<'_>) -> Option<usize> {
        let matches = |template: &Template| {
            let mut segments = template.segments().iter();
            for bytes in path.segments() {
                match segments.next() {
                    Some(Segment::Rest) => return true,
                    Some(Segment::Literal(literal)) if **literal == *bytes => {}
                    Some(Segment::Variable(_)) => {}
                    _ => return false,
                }
            }
            matches!(segments.next(), None | Some(Segment::Rest))
        };
        (0..routes.len())
            .filter(|route| matches(&routes[*route].0))
            .min_by_key(|route| routes[*route].0.precedence())
    }

    proptest! {
        #[test]
        fn the_automaton_agrees_with_trying_every_template(
            templates in proptest::collection::vec("(/(a|b|c|\\{x\\}|\\{y\\})){1,4}(/\\*\\*)?", 1..8),
            path in "(/(a|b|c|d)){1,5}/?",
        ) {
            let mut routes = Vec::new();
            for text in templates {
                let Ok(template) = Template::parse(&text) else { continue };
                routes.push((template, 0));
                if !ambiguities(&routes).is_empty() {
                    routes.pop();
                }
            }
            let compiled = Routes::compile(&routes).unwrap();
            let path = CanonicalPath::parse(path.as_bytes()).unwrap();
            prop_assert_eq!(compiled.find(&path, Method::Get), by_hand(&routes, &path));
        }
    }
}

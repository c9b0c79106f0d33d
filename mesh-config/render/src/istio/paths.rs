//! Path templates as matches of a `VirtualService`, the most specific first.

use crate::yaml::{Node, map};
use policy_core::wire::Context;
use policy_core::{Method, Segment, Template};
use std::fmt::Write as _;

/// What may stand in one segment.
const ANY_SEGMENT: &str = "[^/]+";

/// The requests of one context that stand next to each other in the order of routes.
#[derive(Debug)]
pub(super) struct Group<'c> {
    pub(super) context: &'c str,
    pub(super) matches: Vec<Match>,
}

/// One kind of request.
#[derive(Debug)]
pub(super) struct Match {
    template: Template,
    methods: Vec<Method>,
}

/// The requests of all contexts, in an order in which the first that matches is the one that the
/// guard found: an earlier one is never less specific where both match.
pub(super) fn groups(contexts: &[Context]) -> Vec<Group<'_>> {
    let mut all: Vec<(&str, Match)> = Vec::new();
    for context in contexts {
        for found in &context.matches {
            // What the policy set has loaded parses; nothing else is rendered.
            let Ok(template) = Template::parse(&found.path) else { continue };
            all.push((&context.name, Match { template, methods: found.methods.clone() }));
        }
    }
    all.sort_by(|(_, left), (_, right)| left.precedence().cmp(&right.precedence()));
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (context, found) in all {
        match groups.last_mut() {
            Some(last) if last.context == context => last.matches.push(found),
            _ => groups.push(Group { context, matches: vec![found] }),
        }
    }
    groups
}

impl Match {
    /// Literals before variables before the rest, and a list of methods before every method. The
    /// names of variables count for nothing.
    fn precedence(&self) -> (Vec<(u8, &[u8])>, bool) {
        let segments = self.template.segments().iter().map(|segment| match segment {
            Segment::Literal(literal) => (0, &**literal),
            Segment::Variable(_) => (1, &b""[..]),
            Segment::Rest => (2, &b""[..]),
        });
        (segments.collect(), self.methods.is_empty())
    }

    /// The conditions that stand for it, of which one has to hold.
    pub(super) fn conditions(&self) -> Vec<Vec<(String, Node)>> {
        let method = self.method();
        self.uris()
            .into_iter()
            .map(|uri| {
                let mut condition = vec![("uri".to_owned(), uri)];
                condition.extend(method.clone().map(|method| ("method".to_owned(), method)));
                condition
            })
            .collect()
    }

    /// A slash at the end makes no difference to the guard, so it makes none here.
    fn uris(&self) -> Vec<Node> {
        let segments = self.template.segments();
        let (fixed, has_rest) = match segments.split_last() {
            Some((Segment::Rest, fixed)) => (fixed, true),
            _ => (segments, false),
        };
        if fixed.iter().any(|segment| matches!(segment, Segment::Variable(_))) {
            let end = if has_rest { "(/.*)?" } else { "/?" };
            let pattern: String = fixed.iter().map(pattern).collect();
            return vec![map! { "regex" => pattern + end }];
        }
        let path: String = fixed.iter().map(literal).collect();
        let below = format!("{path}/");
        let below = if has_rest {
            map! { "prefix" => below }
        } else {
            map! { "exact" => below }
        };
        if path.is_empty() { vec![below] } else { vec![map! { "exact" => path }, below] }
    }

    /// Preflights go where the request that they ask about would; the guard has let nothing else
    /// with `OPTIONS` through.
    fn method(&self) -> Option<Node> {
        if self.methods.is_empty() {
            return None;
        }
        let mut methods: Vec<&str> = self.methods.iter().map(|method| method.as_str()).collect();
        if !self.methods.contains(&Method::Options) {
            methods.push(Method::Options.as_str());
        }
        Some(map! { "regex" => methods.join("|") })
    }
}

/// A segment as it stands in a path.
fn literal(segment: &Segment) -> String {
    match segment {
        Segment::Literal(literal) => format!("/{}", String::from_utf8_lossy(literal)),
        Segment::Variable(_) | Segment::Rest => String::new(),
    }
}

/// A segment as a regular expression (RE2).
fn pattern(segment: &Segment) -> String {
    if let Segment::Variable(_) = segment {
        return format!("/{ANY_SEGMENT}");
    }
    let mut pattern = String::new();
    for c in literal(segment).chars() {
        if c.is_ascii_punctuation() && !matches!(c, '/' | '-' | '_' | '%' | '~') {
            pattern.push('\\');
        }
        // Writing to a String does not fail.
        let _ = write!(pattern, "{c}");
    }
    pattern
}

//! What transfers to another country may rest on.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span};
use crate::fields::{Fields, Shape, twice};
use crate::scope::Scope;
use crate::subjects::claim_value;
use crate::yaml::{Entry, Node};
use policy_core::{BasisKind, BasisSet, wire};

const BASIS: Shape = Shape {
    what: "a transfer basis",
    keys: &["name", "kind", "evidence", "expires", "claim"],
    later: &[],
};

/// Reads `transferBases`.
pub(super) fn decode(
    entry: &Entry,
    scope: &Scope,
    sink: &mut Sink,
) -> Vec<(wire::TransferBasis, Span)> {
    let mut bases: Vec<(wire::TransferBasis, Span)> = Vec::new();
    for item in entry.items(sink).unwrap_or_default() {
        let Some((one, span)) = one(item, scope, sink) else { continue };
        if let Some((_, first)) = bases.iter().find(|(known, _)| known.name == one.name) {
            sink.push(twice("transfer basis", &one.name, span, *first));
            continue;
        }
        bases.push((one, span));
    }
    let granted = bases.iter().filter(|(basis, _)| basis.claim.is_some());
    if let Some((_, span)) = granted.clone().nth(BasisSet::MAX) {
        let message = format!("more than {} transfer bases have a `claim`", BasisSet::MAX);
        sink.push(Diagnostic::error(codes::TOO_LARGE, message).at(*span));
    }
    bases
}

fn one(item: &Node, scope: &Scope, sink: &mut Sink) -> Option<(wire::TransferBasis, Span)> {
    let fields = Fields::open(item, &BASIS, sink)?;
    let name = fields.need("name", sink).and_then(|entry| entry.identifier(63, sink));
    let kind = fields.need("kind", sink).and_then(|entry| entry.word::<BasisKind>(sink));
    let evidence = fields.need("evidence", sink).and_then(|entry| entry.text(sink));
    let expires = fields.get("expires").and_then(|entry| entry.moment(sink));
    let claim = fields.get("claim").map(|entry| claim_value(entry, scope, sink));
    let name = name?;
    let basis = wire::TransferBasis {
        name: name.value,
        kind: kind?.value,
        evidence: evidence?.value,
        expires: expires.map(|expires| expires.value),
        claim: match claim {
            None => None,
            Some(claim) => Some(claim?),
        },
    };
    Some((basis, name.span))
}

//! `RequestAuthentication`: whose tokens are verified, before the guard reads their claims.

use super::plan::View;
use super::resource::{Kind, Resource, target};
use crate::yaml::{Node, list, map};
use policy_core::Role;
use policy_doc::Issuer;

pub(super) const ABOUT: &[&str] = &[
    "Verifies tokens and keeps their claims as metadata, which no client can write. No token: the",
    "guard decides. A token that does not verify: 401. Other regions and workloads that send need",
    "none: what a gateway or a workload's guard said of a subject goes on in a header of its own.",
];

pub(super) fn all(view: &View<'_>) -> Vec<Resource> {
    if view.set.mesh.issuers.is_empty() {
        return Vec::new();
    }
    let rules: Vec<Node> = view.set.mesh.issuers.iter().map(rule).collect();
    view.attached(&[Role::Edge, Role::Inbound])
        .map(|attached| Resource {
            kind: Kind::RequestAuthentication,
            name: attached.name.clone(),
            namespace: attached.namespace.to_owned(),
            spec: Node::Map(vec![
                target(attached.target),
                ("jwtRules".to_owned(), Node::List(rules.clone())),
            ]),
        })
        .collect()
}

fn rule(issuer: &Issuer) -> Node {
    let audiences: Vec<Node> =
        issuer.audiences.iter().map(|audience| audience.as_str().into()).collect();
    map! {
        "issuer" => issuer.issuer.as_str(),
        "audiences" => audiences,
        "jwksUri" => issuer.jwks_uri.as_str(),
        "fromHeaders" => Node::because(
            list![map! { "name" => "Authorization", "prefix" => "Bearer " }],
            "From here only: by default a query parameter is taken too, and queries are logged.",
        ),
        "forwardOriginalToken" => Node::from(true)
            .because("The workload's own proxy verifies it again."),
    }
}

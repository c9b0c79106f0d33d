//! Where requests go: the guard decides by a header, the route table only follows it.

use super::clusters::{CLUSTER_APPLICATION, CLUSTER_UPSTREAM, peer_cluster};
use super::listener::listener_name;
use super::plan::View;
use crate::yaml::{Node, list, map};
use policy_core::Role;
use policy_core::name::HEADER_ROUTE;

/// How long an answer may take, once the request is complete.
const RESPONSE_TIMEOUT: &str = "30s";

/// How long a stream may be silent.
pub(super) const STREAM_IDLE_TIMEOUT: &str = "60s";

/// The routes of the listener of a role.
pub(super) fn of(view: &View<'_>, role: Role) -> Node {
    let name = listener_name(role);
    match role {
        Role::Edge | Role::Outbound => {
            let domains = list!["*"].because(
                "Every host: which hosts are served is the guard's decision, with a reason and a metric,\n\
                 and health paths answer under any name. A second list here could only disagree with it.",
            );
            configuration(name, domains, by_region(view))
        }
        // Here and nowhere else.
        Role::Peer => configuration(name, list!["*"], vec![to(CLUSTER_UPSTREAM)]),
        Role::Inbound => configuration(name, list!["*"], vec![to(CLUSTER_APPLICATION)]),
    }
}

/// To the region that the guard has chosen.
fn by_region(view: &View<'_>) -> Vec<Node> {
    let mut routes: Vec<Node> = view
        .peers()
        .map(|peer| {
            let by_region = map! { "exact" => peer.region.as_str() };
            let header = map! { "name" => HEADER_ROUTE, "string_match" => by_region };
            map! {
                "match" => map! { "prefix" => "/", "headers" => list![header] },
                "route" => to_peer(view, &peer_cluster(&peer.region)),
            }
        })
        .collect();
    let header = map! { "name" => HEADER_ROUTE, "present_match" => true };
    routes.push(map! {
        "match" => Node::because(
            map! { "prefix" => "/", "headers" => list![header] },
            "A region that is none of the above must not end here by default.",
        ),
        "direct_response" => map! {
            "status" => 503_u16,
            "body" => map! { "inline_string" => "no route to the region that was chosen\n" },
        },
    });
    routes.push(to(CLUSTER_UPSTREAM));
    routes
}

fn to(cluster: &str) -> Node {
    map! { "match" => map! { "prefix" => "/" }, "route" => forward(cluster) }
}

/// No retry policy: repeating a write is the client's business, who has the idempotency key.
fn forward(cluster: &str) -> Node {
    map! {
        "cluster" => cluster,
        "timeout" => RESPONSE_TIMEOUT,
        "idle_timeout" => STREAM_IDLE_TIMEOUT,
    }
}

/// A peer may say that a request is not its own; then it may be decided once more.
fn to_peer(view: &View<'_>, cluster: &str) -> Node {
    match forward(cluster) {
        Node::Map(mut entries) if view.set.body.fencing.reroute => {
            let policy = map! {
                "max_internal_redirects" => 1_i64,
                "redirect_response_codes" => list![307_i64],
            };
            let policy =
                policy.because("Of the filter on the peer's cluster: not the application's.");
            entries.push(("internal_redirect_policy".to_owned(), policy));
            Node::Map(entries)
        }
        other => other,
    }
}

fn configuration(name: &str, domains: Node, routes: Vec<Node>) -> Node {
    map! {
        "name" => name,
        "validate_clusters" => true,
        "virtual_hosts" => list![map! {
            "name" => name,
            "domains" => domains,
            "routes" => routes,
        }],
    }
}

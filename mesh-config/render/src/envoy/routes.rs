//! Where requests go: the guard decides by a header, the route table only follows it.

use super::clusters::{CLUSTER_UPSTREAM, peer_cluster};
use super::plan::View;
use crate::yaml::{Node, list, map};
use policy_core::name::HEADER_ROUTE;

/// How long an answer may take, once the request is complete.
const RESPONSE_TIMEOUT: &str = "30s";

/// How long a stream may be silent.
pub(super) const STREAM_IDLE_TIMEOUT: &str = "60s";

/// The routes of the listener that users enter by.
pub(super) fn edge(view: &View<'_>) -> Node {
    let mut routes: Vec<Node> = view
        .peers()
        .map(|peer| {
            let by_region = map! { "exact" => peer.region.as_str() };
            let header = map! { "name" => HEADER_ROUTE, "string_match" => by_region };
            map! {
                "match" => map! { "prefix" => "/", "headers" => list![header] },
                "route" => forward(&peer_cluster(&peer.region)),
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
    routes.push(to_upstream());
    let domains = list!["*"].because(
        "Every host: which hosts are served is the guard's decision, with a reason and a metric,\n\
         and health paths answer under any name. A second list here could only disagree with it.",
    );
    configuration("edge", domains, routes)
}

/// The routes of the listener that other regions enter by: here and nowhere else.
pub(super) fn east_west() -> Node {
    configuration("east-west", list!["*"], vec![to_upstream()])
}

fn to_upstream() -> Node {
    map! { "match" => map! { "prefix" => "/" }, "route" => forward(CLUSTER_UPSTREAM) }
}

/// No retry policy: repeating a write is the client's business, who has the idempotency key.
fn forward(cluster: &str) -> Node {
    map! {
        "cluster" => cluster,
        "timeout" => RESPONSE_TIMEOUT,
        "idle_timeout" => STREAM_IDLE_TIMEOUT,
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

//! `VirtualService`: where requests go. The guard decides by a header, the routes only follow it.

use super::paths::{Group, groups};
use super::plan::{Attached, View};
use super::resource::{Kind, Resource, service_host};
use crate::yaml::{Node, list, map};
use policy_core::Role;
use policy_core::name::HEADER_ROUTE;
use policy_doc::AttachmentTarget;

pub(super) const ABOUT: &[&str] = &[
    "Where requests go: to the region that the guard chose, else to the service of their context. A",
    "path that no context has is 404; the guard has refused it before. Nothing is retried: repeating",
    "a write is the client's business, who has the idempotency key.",
];

/// How long an answer may take, once the request is complete.
const RESPONSE_TIMEOUT: &str = "30s";
/// Istio's name for what the workloads of a mesh send.
const MESH: &str = "mesh";

/// One condition or several that hold together.
type Condition = Vec<(String, Node)>;

pub(super) fn all(view: &View<'_>) -> Vec<Resource> {
    let groups = groups(&view.set.body.contexts);
    let of = |attached: &Attached<'_>, gateways: Vec<Node>, routes: Vec<Node>| {
        let hosts: Vec<Node> =
            view.set.body.hosts.iter().map(|host| host.as_str().into()).collect();
        Resource {
            kind: Kind::VirtualService,
            name: attached.name.clone(),
            namespace: attached.namespace.to_owned(),
            spec: map! {
                "hosts" => hosts,
                "gateways" => gateways,
                "exportTo" => list!["."],
                "http" => routes,
            },
        }
    };
    let mut resources = Vec::new();
    for attached in view.attached(&[Role::Edge, Role::Peer, Role::Outbound]) {
        let senders = senders(attached);
        let mut routes = if attached.role.routes() { to_peers(view, &senders) } else { Vec::new() };
        routes.push(nowhere(attached.role, &senders));
        let gateways = if attached.role == Role::Outbound {
            list_of_mesh()
        } else {
            routes.extend(health(view));
            attached.gateways().into_iter().map(|(name, _, _)| name.into()).collect()
        };
        routes.extend(groups.iter().filter_map(|group| to_service(view, group, &senders)));
        resources.push(of(attached, gateways, routes));
    }
    resources
}

fn list_of_mesh() -> Vec<Node> {
    vec![
        Node::from(MESH)
            .because("Only the workloads that `sourceLabels` name: their guard has judged it."),
    ]
}

/// Whose requests the routes are for: the workloads of the attachment, where they share their
/// namespace with others.
fn senders(attached: &Attached<'_>) -> Condition {
    match (attached.role, attached.target) {
        (Role::Outbound, AttachmentTarget::Selector(labels)) => {
            let labels = labels.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
            vec![("sourceLabels".to_owned(), Node::Map(labels.collect()))]
        }
        _ => Vec::new(),
    }
}

fn with(condition: Condition, senders: &Condition) -> Node {
    Node::Map(condition.into_iter().chain(senders.iter().cloned()).collect())
}

fn to_peers(view: &View<'_>, senders: &Condition) -> Vec<Node> {
    view.peers
        .iter()
        .map(|peer| {
            let chosen = map! { HEADER_ROUTE => map! { "exact" => peer.region } };
            let matches = list![with(vec![("headers".to_owned(), chosen)], senders)];
            forward(
                &format!("to-{}", peer.region),
                matches,
                peer.gateway.host.clone(),
                peer.gateway.port,
            )
        })
        .collect()
}

fn nowhere(role: Role, senders: &Condition) -> Node {
    let chosen = map! { HEADER_ROUTE => map! {} };
    let comment = if role.routes() {
        "A region that is none of the above must not end here by default."
    } else {
        "What other regions send ends here and is never sent on."
    };
    map! {
        "name" => Node::from("to-no-region").because(comment),
        "match" => list![with(vec![("headers".to_owned(), chosen)], senders)],
        "directResponse" => map! {
            "status" => 503_u16,
            "body" => map! { "string" => "no route to the region that was chosen\n" },
        },
    }
}

/// Health paths are of no context, so no service is theirs: the gateway answers for itself.
fn health(view: &View<'_>) -> Option<Node> {
    let paths = &view.set.body.health_paths;
    if paths.is_empty() {
        return None;
    }
    let matches: Vec<Node> = paths
        .iter()
        .map(|path| {
            map! {
                "uri" => map! { "exact" => path.as_str() },
                "method" => map! { "regex" => "GET|HEAD" },
            }
        })
        .collect();
    Some(map! {
        "name" => Node::from("health")
            .because("That this gateway serves; services have probes of their own."),
        "match" => matches,
        "directResponse" => map! { "status" => 200_u16 },
    })
}

fn to_service(view: &View<'_>, group: &Group<'_>, senders: &Condition) -> Option<Node> {
    let service = view.by_context.get(group.context)?;
    let conditions = group.matches.iter().flat_map(super::paths::Match::conditions);
    let matches: Vec<Node> = conditions.map(|condition| with(condition, senders)).collect();
    let host = service_host(&service.name, &service.namespace);
    Some(forward(group.context, Node::List(matches), host, service.port))
}

fn forward(name: &str, matches: Node, host: String, port: u16) -> Node {
    map! {
        "name" => name,
        "match" => matches,
        "route" => list![map! {
            "destination" => map! { "host" => host, "port" => map! { "number" => port } },
        }],
        "timeout" => RESPONSE_TIMEOUT,
        "retries" => map! { "attempts" => 0_i64 },
    }
}

//! `ServiceEntry`: the gateways of the other regions, and the public name inside the mesh.

use super::agent::Agent;
use super::plan::{Peer, View};
use super::resource::{Kind, Resource};
use crate::yaml::{Node, list, map};
use policy_core::Role;
use std::collections::BTreeSet;

pub(super) const ABOUT: &[&str] = &[
    "The east-west gateways of the other regions: one host a region, so that nothing balances or",
    "fails over between regions except the guard.",
];

/// What the resources about the agent are called.
pub(super) const AGENT_NAME: &str = "meshfence-region-agent";
/// The port of a region's east-west gateway.
pub(super) const PEER_PORT: &str = "http-peer";
/// The port that workloads reach the public name at; its proxy makes it mutual TLS.
const PUBLIC_PORT: u16 = 80;

pub(super) fn all(view: &View<'_>) -> Vec<Resource> {
    let mut resources = Vec::new();
    // Beside what routes to it: there its DestinationRule is found for every sender.
    if let Some(namespace) = view.routing_namespaces().into_iter().next() {
        resources.extend(view.peers.iter().map(|peer| Resource {
            kind: Kind::ServiceEntry,
            name: peer_name(peer),
            namespace: namespace.to_owned(),
            spec: peer_spec(view, peer),
        }));
    }
    let namespaces: BTreeSet<&str> =
        view.attached(&[Role::Outbound]).map(|attached| attached.namespace).collect();
    resources.extend(namespaces.into_iter().map(|namespace| Resource {
        kind: Kind::ServiceEntry,
        name: "meshfence-public-name".to_owned(),
        namespace: namespace.to_owned(),
        spec: public_name(view),
    }));
    // A Service of the cluster needs none.
    let agent = view.agent.as_ref().filter(|agent| agent.namespace.is_none());
    if let (Some(agent), Some(namespace)) = (agent, view.namespaces().into_iter().next()) {
        resources.push(Resource {
            kind: Kind::ServiceEntry,
            name: AGENT_NAME.to_owned(),
            namespace: namespace.to_owned(),
            spec: agent_spec(view, agent),
        });
    }
    resources
}

fn agent_spec(view: &View<'_>, agent: &Agent<'_>) -> Node {
    map! {
        "hosts" => Node::List(vec![agent.host.as_str().into()])
            .because("The agent of this region, which every guard asks."),
        "exportTo" => export_to(view.namespaces()),
        "location" => "MESH_EXTERNAL",
        "ports" => list![map! {
            "number" => agent.url.port,
            "name" => "http-agent",
            "protocol" => "HTTP",
        }],
        "resolution" => "DNS",
    }
}

pub(super) fn peer_name(peer: &Peer<'_>) -> String {
    format!("meshfence-peer-{}", peer.region)
}

/// Which namespaces may see it.
pub(super) fn export_to(namespaces: BTreeSet<&str>) -> Node {
    Node::List(namespaces.into_iter().map(Node::from).collect())
}

fn peer_spec(view: &View<'_>, peer: &Peer<'_>) -> Node {
    let host = peer.gateway.host.as_str();
    let mut endpoint = vec![("address".to_owned(), Node::from(host))];
    if let Some(cloud_region) = peer.cloud_region {
        endpoint.push((
            "locality".to_owned(),
            Node::from(cloud_region)
                .because("What upstream.locality.region says of where a request ran."),
        ));
    }
    map! {
        "hosts" => list![host],
        "exportTo" => export_to(view.routing_namespaces()),
        "location" => Node::from("MESH_EXTERNAL")
            .because("Another mesh with another authority; its DestinationRule says whom to believe."),
        "ports" => list![map! {
            "number" => peer.gateway.port,
            "name" => PEER_PORT,
            "protocol" => Node::from("HTTP")
                .because("As the sender's proxy sees it; the DestinationRule makes it mutual TLS."),
        }],
        "resolution" => "DNS",
        "endpoints" => list![Node::Map(endpoint)],
    }
}

/// Makes workloads' requests for the public name the affair of their own proxies.
fn public_name(view: &View<'_>) -> Node {
    let hosts: Vec<Node> = view.set.body.hosts.iter().map(|host| host.as_str().into()).collect();
    map! {
        "hosts" => Node::List(hosts)
            .because("What workloads send to under the public name goes by the routes, not by DNS."),
        "exportTo" => list!["."],
        "location" => "MESH_INTERNAL",
        "ports" => list![map! {
            "number" => PUBLIC_PORT,
            "name" => "http",
            "protocol" => "HTTP",
        }],
        "resolution" => "NONE",
    }
}

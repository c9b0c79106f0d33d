//! `Gateway`: where users and the other regions enter.

use super::plan::{Attached, View};
use super::resource::{Kind, Resource};
use crate::yaml::{Node, list, map};
use policy_core::Role;

pub(super) const ABOUT: &[&str] = &[
    "Where users and the other regions enter. The pods are the operator's; where a Kubernetes Gateway",
    "runs them, it only has to open the port, by an HTTPS listener for another host name: two servers",
    "of one port and one host name exclude each other. The pods of the two gateways are not the same:",
    "a guard has one role on all listeners of its pods.",
];

/// The port that users come to.
const EDGE_PORT: u16 = 443;

pub(super) fn all(view: &View<'_>) -> Vec<Resource> {
    let mut resources = Vec::new();
    for attached in view.attached(&[Role::Edge]) {
        add(&mut resources, attached, || edge(view));
    }
    if let Some(own) = view.own_gateway {
        for attached in view.attached(&[Role::Peer]) {
            add(&mut resources, attached, || peer(view, &own.host, own.port));
        }
    }
    resources
}

fn add(resources: &mut Vec<Resource>, attached: &Attached<'_>, server: impl Fn() -> Node) {
    for (name, labels, target) in attached.gateways() {
        let labels = labels.into_iter().map(|(key, value)| (key, value.into()));
        let mut selector = Node::Map(labels.collect());
        if let Some(target) = target {
            selector = selector.because(format!(
                "The pods that Istio runs for the Kubernetes {} {}/{}.",
                target.kind, attached.namespace, target.name
            ));
        }
        resources.push(Resource {
            kind: Kind::Gateway,
            name,
            namespace: attached.namespace.to_owned(),
            spec: map! { "selector" => selector, "servers" => list![server()] },
        });
    }
}

fn edge(view: &View<'_>) -> Node {
    map! {
        "port" => map! { "number" => EDGE_PORT, "name" => "https", "protocol" => "HTTPS" },
        "hosts" => public_hosts(view),
        "tls" => map! {
            "mode" => "SIMPLE",
            "credentialName" => Node::from(view.edge_credential)
                .because("A Secret of the gateway's namespace: the certificate that users get to see."),
        },
    }
}

fn peer(view: &View<'_>, host: &str, port: u16) -> Node {
    let Node::List(mut hosts) = public_hosts(view) else { return map! {} };
    hosts.insert(0, own_routes(host));
    map! {
        "port" => map! { "number" => port, "name" => "https-peer", "protocol" => "HTTPS" },
        "hosts" => Node::List(hosts)
            .because("The name that the other regions connect to, and the hosts they ask for there."),
        "tls" => map! {
            "mode" => Node::from("ISTIO_MUTUAL").because(
                "HTTP ends here: passed through, the guard would see nothing. The certificate has to be\n\
                 of an authority that the mesh knows, meshConfig.caCertificates; which of its ids speak\n\
                 for a region is the guard's decision, with a reason and a metric. Istio does not bind\n\
                 an authority to its trust domain: let the one of another region issue no ids of this one.",
            ),
        },
    }
}

fn public_hosts(view: &View<'_>) -> Node {
    Node::List(view.set.body.hosts.iter().map(|host| own_routes(host)).collect())
}

/// A host with the routes of this namespace alone.
fn own_routes(host: &str) -> Node {
    format!("./{host}").into()
}

//! `DestinationRule`: whom a sender believes it reached, and when it stops trying.

use super::agent::Agent;
use super::plan::{Peer, View};
use super::resource::{Kind, Resource, service_host};
use super::service_entry::{AGENT_NAME, export_to, peer_name};
use crate::yaml::{Node, map};

pub(super) const ABOUT: &[&str] = &[
    "Whom a sender believes it reached, and when it stops trying. Where the regions are clusters of",
    "one mesh, list the services below under meshConfig.serviceSettings as clusterLocal: a service",
    "here must not have endpoints there.",
];

pub(super) fn all(view: &View<'_>) -> Vec<Resource> {
    let mut resources = Vec::new();
    if let Some(namespace) = view.routing_namespaces().into_iter().next() {
        resources.extend(view.peers.iter().map(|peer| Resource {
            kind: Kind::DestinationRule,
            name: peer_name(peer),
            namespace: namespace.to_owned(),
            spec: map! {
                "host" => peer.gateway.host.as_str(),
                "exportTo" => export_to(view.routing_namespaces()),
                "trafficPolicy" => policy(peer_tls(peer)),
            },
        }));
    }
    resources.extend(view.services.iter().map(|(namespace, name)| Resource {
        kind: Kind::DestinationRule,
        name: format!("meshfence-{name}"),
        namespace: namespace.clone(),
        spec: map! {
            "host" => service_host(name, namespace),
            "exportTo" => export_to(view.sending_namespaces()),
            "trafficPolicy" => policy(map! {
                "mode" => Node::from("ISTIO_MUTUAL").because(
                    "Never plain text: the workload's guard believes a gateway by its certificate.",
                ),
            }),
        },
    }));
    resources.extend(view.agent.as_ref().and_then(|agent| agent_rule(view, agent)));
    resources
}

/// Nothing where the URL of the agent says `http`: inside the mesh Istio makes that mutual TLS.
fn agent_rule(view: &View<'_>, agent: &Agent<'_>) -> Option<Resource> {
    let namespace = agent.namespace.or_else(|| view.namespaces().into_iter().next())?;
    let tls = map! {
        "mode" => Node::from("SIMPLE")
            .because("The agent's URL is an https one; the authorities are those of the proxy's system."),
        "sni" => agent.url.host.as_str(),
        "subjectAltNames" => vec![Node::from(agent.url.host.as_str())],
    };
    agent.url.is_tls.then(|| Resource {
        kind: Kind::DestinationRule,
        name: AGENT_NAME.to_owned(),
        namespace: namespace.to_owned(),
        spec: map! {
            "host" => agent.host.as_str(),
            "exportTo" => export_to(view.namespaces()),
            "trafficPolicy" => map! { "tls" => tls },
        },
    })
}

fn peer_tls(peer: &Peer<'_>) -> Node {
    let ids: Vec<Node> = peer.ids.iter().map(|id| id.as_str().into()).collect();
    map! {
        "mode" => Node::from("ISTIO_MUTUAL").because(
            "With the certificate of the workload. The mesh has to know the other region's authority:\n\
             meshConfig.caCertificates, ISTIO_MULTIROOT_MESH at istiod, PROXY_CONFIG_XDS_AGENT at proxies.",
        ),
        "sni" => peer.gateway.host.as_str(),
        "subjectAltNames" => Node::List(ids)
            .because("Its peerIds: whoever else answers there is not this region."),
    }
}

fn policy(tls: Node) -> Node {
    map! {
        "tls" => tls,
        "connectionPool" => map! {
            "tcp" => map! { "connectTimeout" => "1s" },
            "http" => map! {
                "idleTimeout" => "60s",
                "useClientProtocol" => Node::from(true)
                    .because("HTTP/2 stays HTTP/2, so that gRPC works; HTTP/1.1 stays HTTP/1.1."),
            },
        },
        "loadBalancer" => map! {
            "localityLbSetting" => map! { "enabled" => false },
        },
        "outlierDetection" => map! {
            "interval" => "1s",
            "splitExternalLocalOriginErrors" => true,
            "consecutiveLocalOriginFailures" => 3_i64,
            "consecutive5xxErrors" => Node::from(0_i64)
                .because("A 5xx of the application is an answer, not a lost region."),
            "consecutiveGatewayErrors" => 0_i64,
            "baseEjectionTime" => "5s",
            "maxEjectionPercent" => Node::from(100_i64)
                .because("What is down gets nothing, even when nothing else is left."),
            "minHealthPercent" => 0_i64,
        },
    }
}

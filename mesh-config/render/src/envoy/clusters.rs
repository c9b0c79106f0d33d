//! Where requests end: the application here, the other regions, and the keys of the issuers.

use super::plan::{Keys, Site, View};
use super::plugin::reroute;
use super::{RenderError, address, tls, type_url};
use crate::yaml::{Node, list, map};
use http::Uri;
use policy_doc::{AgentUrl, Issuer};
use std::net::{IpAddr, SocketAddr};

/// The cluster of the same region: what is before its application.
pub const CLUSTER_UPSTREAM: &str = "upstream";
/// The cluster of the application itself.
pub const CLUSTER_APPLICATION: &str = "application";
/// What the cluster of another region starts with; the region's name follows.
pub const PEER_CLUSTER_PREFIX: &str = "peer-";
/// The certificate authorities that an issuer's server is checked against: the file that Debian,
/// Ubuntu, Alpine and Envoy's own images have.
pub const TRUSTED_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Every cluster that the routes and filters of a region name.
pub(super) fn all(view: &View<'_>) -> Result<Node, RenderError> {
    let Site { region, inbound, application, .. } = view.site;
    let mut clusters = vec![
        region_cluster(view, CLUSTER_UPSTREAM, region, *inbound)?,
        cluster(view, CLUSTER_APPLICATION, region, *application, Vec::new()),
    ];
    for peer in view.peers() {
        let name = peer_cluster(&peer.region);
        let peer = region_cluster(view, &name, &peer.region, peer.peer)?;
        clusters.push(if view.set.body.fencing.reroute { rerouting(view, peer) } else { peer });
    }
    if view.plan.keys == Keys::Remote {
        for issuer in &view.set.mesh.issuers {
            clusters.push(keys_cluster(issuer)?);
        }
    }
    clusters.extend(view.set.agent(region).map(agent_cluster));
    Ok(Node::List(clusters))
}

/// The cluster of another region.
pub(super) fn peer_cluster(region: &str) -> String {
    format!("{PEER_CLUSTER_PREFIX}{region}")
}

/// The cluster that an issuer's keys come from.
pub(super) fn jwks_cluster(issuer: &str) -> String {
    format!("jwks-{issuer}")
}

/// A region by its way in, whose health is that of everything behind it.
fn region_cluster(
    view: &View<'_>,
    name: &str,
    region: &str,
    socket: SocketAddr,
) -> Result<Node, RenderError> {
    let extra = vec![
        ("health_checks".to_owned(), list![health_check(view)]),
        ("transport_socket".to_owned(), tls::to_region(view, region)?),
    ];
    Ok(cluster(view, name, region, socket, extra))
}

fn cluster(
    view: &View<'_>,
    name: &str,
    region: &str,
    socket: SocketAddr,
    extra: Vec<(String, Node)>,
) -> Node {
    let locality = Node::because(
        map! { "region" => view.locality(region) },
        "What upstream.locality.region says of where a request ran.",
    );
    let endpoint = map! {
        "endpoint" => map! { "address" => address(socket) },
        "metadata" => map! {
            "filter_metadata" => map! { "meshfence" => map! { "region" => region } },
        },
    };
    let common = map! {
        "name" => name,
        "type" => "STATIC",
        "connect_timeout" => "1s",
        "load_assignment" => map! {
            "cluster_name" => name,
            "endpoints" => list![map! { "locality" => locality, "lb_endpoints" => list![endpoint] }],
        },
        "common_lb_config" => map! {
            "healthy_panic_threshold" => Node::because(
                map! { "value" => 0_i64 },
                "A region that is down gets nothing, even when nothing else is left.",
            ),
            "update_merge_window" => Node::because(
                "0s".into(),
                "Workers hear of a change of health at once; Envoy would wait a second for more of them.",
            ),
        },
        "outlier_detection" => outlier_detection(),
        "circuit_breakers" => map! {
            "thresholds" => list![map! {
                "priority" => "DEFAULT",
                "max_connections" => 4_096_i64,
                "max_pending_requests" => 1_024_i64,
                "max_requests" => 4_096_i64,
                "max_retries" => 0_i64,
            }],
        },
        "typed_extension_protocol_options" => protocol_options(Vec::new()),
    };
    match common {
        Node::Map(mut entries) => {
            entries.extend(extra);
            Node::Map(entries)
        }
        other => other,
    }
}

fn health_check(view: &View<'_>) -> Node {
    let mut http = vec![("path".to_owned(), Node::from(view.health_path))];
    // Without one, Envoy sends the name of the cluster, which an application may refuse.
    if let Some(host) = view.set.body.hosts.first() {
        http.push(("host".to_owned(), Node::from(host.as_str())));
    }
    map! {
        "timeout" => "1s",
        "interval" => "1s",
        "no_traffic_interval" => "1s",
        "unhealthy_threshold" => 2_i64,
        "healthy_threshold" => 1_i64,
        "reuse_connection" => Node::from(false)
            .because("So that a certificate that is no good any more is noticed at once."),
        "http_health_check" => Node::Map(http),
    }
}

/// Ejects for connections that fail, never for what the application answers.
fn outlier_detection() -> Node {
    map! {
        "interval" => "1s",
        "split_external_local_origin_errors" => true,
        "consecutive_local_origin_failure" => 3_i64,
        "enforcing_consecutive_local_origin_failure" => 100_i64,
        "enforcing_consecutive_5xx" => Node::from(0_i64)
            .because("A 5xx of the application is an answer, not a lost region."),
        "enforcing_consecutive_gateway_failure" => 0_i64,
        "enforcing_success_rate" => 0_i64,
        "enforcing_local_origin_success_rate" => 0_i64,
        "enforcing_failure_percentage" => 0_i64,
        "enforcing_failure_percentage_local_origin" => 0_i64,
        "base_ejection_time" => "5s",
        "max_ejection_time" => "30s",
        "max_ejection_percent" => 100_i64,
    }
}

/// HTTP/2 stays HTTP/2, so that gRPC works; HTTP/1.1 stays HTTP/1.1.
fn protocol_options(filters: Vec<Node>) -> Node {
    const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let mut options = vec![
        ("@type".to_owned(), type_url(OPTIONS).into()),
        ("common_http_protocol_options".to_owned(), map! { "idle_timeout" => "60s" }),
        (
            "use_downstream_protocol_config".to_owned(),
            map! {
                "http_protocol_options" => map! {},
                "http2_protocol_options" => map! { "max_concurrent_streams" => 100_i64 },
            },
        ),
    ];
    if !filters.is_empty() {
        options.push(("http_filters".to_owned(), Node::List(filters)));
    }
    map! { OPTIONS => Node::Map(options) }
}

/// The cluster of a peer whose refusals may have a second pass.
fn rerouting(view: &View<'_>, cluster: Node) -> Node {
    const OPTIONS: &str = "typed_extension_protocol_options";
    const CODEC: &str = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec";
    let codec = map! {
        "name" => "envoy.filters.http.upstream_codec",
        "typed_config" => map! { "@type" => type_url(CODEC) },
    };
    let mut options = Some(protocol_options(vec![reroute(view), codec]));
    match cluster {
        Node::Map(entries) => {
            let replace = |(key, value): (String, Node)| {
                let own = (key == OPTIONS).then(|| options.take()).flatten();
                (key, own.unwrap_or(value))
            };
            Node::Map(entries.into_iter().map(replace).collect())
        }
        other => other,
    }
}

/// The agent of this region, which guards ask by themselves: no route leads there.
fn agent_cluster(agent: &AgentUrl) -> Node {
    let mut cluster = vec![("name".to_owned(), Node::from(AgentUrl::CLUSTER))];
    let mut add = |key: &str, value: Node| cluster.push((key.to_owned(), value));
    if agent.address().is_some() {
        add("type", "STATIC".into());
    } else {
        add("type", "STRICT_DNS".into());
        add("dns_lookup_family", "ALL".into());
        add(
            "wait_for_warm_on_init",
            Node::from(false).because(
                "Without it leases are unknown and leased writes refused; the rest need not wait.",
            ),
        );
    }
    add("connect_timeout", Node::from("1s"));
    add("load_assignment", named_assignment(AgentUrl::CLUSTER, &agent.host, agent.port));
    if agent.is_tls {
        add("transport_socket", to_server(&agent.host));
    }
    Node::Map(cluster)
}

fn keys_cluster(issuer: &Issuer) -> Result<Node, RenderError> {
    let KeysHost { host, port } = jwks_uri(issuer)?;
    let name = jwks_cluster(&issuer.name);
    Ok(map! {
        "name" => name.as_str(),
        "type" => "STRICT_DNS",
        "dns_lookup_family" => "ALL",
        "connect_timeout" => "5s",
        "load_assignment" => named_assignment(&name, &host, port),
        "transport_socket" => to_server(&host),
    })
}

/// The one endpoint of a cluster, by a name or an address.
fn named_assignment(cluster: &str, host: &str, port: u16) -> Node {
    let socket = map! { "address" => host, "port_value" => port };
    let endpoint = map! { "address" => map! { "socket_address" => socket } };
    map! {
        "cluster_name" => cluster,
        "endpoints" => list![map! {
            "lb_endpoints" => list![map! { "endpoint" => endpoint }],
        }],
    }
}

/// TLS to a server whose certificate names this host and comes from an authority that the system
/// trusts.
fn to_server(host: &str) -> Node {
    // A certificate for an IP address names it in a field of its own, and SNI has no addresses.
    let (san_type, sni) = match host.parse::<IpAddr>() {
        Ok(_) => ("IP_ADDRESS", None),
        Err(_) => ("DNS", Some(host)),
    };
    let mut tls = vec![(
        "@type".to_owned(),
        type_url("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext").into(),
    )];
    tls.extend(sni.map(|sni| ("sni".to_owned(), sni.into())));
    let names = map! { "san_type" => san_type, "matcher" => map! { "exact" => host } };
    let validation = map! {
        "trusted_ca" => map! { "filename" => TRUSTED_CA },
        "match_typed_subject_alt_names" => list![names],
    };
    tls.push(("common_tls_context".to_owned(), map! { "validation_context" => validation }));
    map! {
        "name" => "envoy.transport_sockets.tls",
        "typed_config" => Node::Map(tls),
    }
}

/// The server of an issuer's keys.
#[derive(Debug)]
pub(super) struct KeysHost {
    host: String,
    port: u16,
}

/// Reads the `jwksUri` of an issuer.
pub(super) fn jwks_uri(issuer: &Issuer) -> Result<KeysHost, RenderError> {
    let refuse = |problem| RenderError::JwksUri {
        name: issuer.name.clone(),
        uri: issuer.jwks_uri.clone(),
        problem,
    };
    let uri: Uri = issuer.jwks_uri.parse().map_err(|_| refuse("is not a URI"))?;
    if uri.scheme_str() != Some("https") {
        return Err(refuse("does not start with https://"));
    }
    let authority = uri.authority().ok_or_else(|| refuse("names no host"))?;
    if authority.as_str().contains('@') {
        return Err(refuse("has a user name in it"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(refuse("names no host"));
    }
    Ok(KeysHost { host: host.to_owned(), port: authority.port_u16().unwrap_or(443) })
}

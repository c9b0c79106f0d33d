//! One listener, one filter to compare, one cluster: as little else of Envoy as there can be.

use crate::variant::Variant;
use local_mesh::ports::Ports;
use policy_core::Role;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// More than ever happens, so that no other limit of Envoy sheds anything.
const UNLIMITED: u32 = 1_000_000_000;

/// What `@type` says of a message.
pub fn type_url(message: &str) -> String {
    format!("type.googleapis.com/{message}")
}

/// The bootstrap of a variant, as JSON. `plugin` is the file that configures our module.
pub fn bootstrap(variant: Variant, ports: &Ports, upstream: SocketAddr, plugin: &str) -> String {
    json!({
        "node": {"id": "bench", "cluster": "bench"},
        "admin": {"address": address(ports.admin)},
        "stats_config": {"stats_tags": tags()},
        "layered_runtime": {"layers": [{
            "name": "bench",
            "static_layer": {
                // Clients that give up reset their streams. A connection is shared by many users
                // here, and is not to be closed for what all of them do together.
                "overload.premature_reset_total_stream_count": 4_000_000_000_u32,
            },
        }]},
        "static_resources": {
            "listeners": [listener(variant, ports.edge, plugin)],
            "clusters": [cluster(upstream)],
        },
    })
    .to_string()
}

/// Our module, as the product renders it.
pub fn plugin_filter(plugin: &str) -> Value {
    json!({
        "name": render::plugin_name(Role::Edge),
        "config_discovery": {
            "config_source": {
                "path_config_source": {"path": plugin},
                "resource_api_version": "V3",
            },
            "type_urls": [type_url("envoy.extensions.filters.http.wasm.v3.Wasm")],
        },
    })
}

fn address(socket: SocketAddr) -> Value {
    json!({"socket_address": {"address": socket.ip().to_string(), "port_value": socket.port()}})
}

/// How the labels of our metrics are taken out of their names.
fn tags() -> Vec<Value> {
    let tag = |name: &&str| json!({"tag_name": name, "regex": format!("({name}=\\.=(.*?);\\.;)")});
    policy_core::name::METRIC_LABELS.iter().map(tag).collect()
}

fn listener(variant: Variant, edge: SocketAddr, plugin: &str) -> Value {
    let mut filters = variant.filters(plugin);
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": type_url("envoy.extensions.filters.http.router.v3.Router")},
    }));
    let manager = json!({
        "@type": type_url(
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        ),
        "stat_prefix": "bench",
        "codec_type": "AUTO",
        // Users come through a balancer that says who they are, so that a connection may be of many.
        "use_remote_address": true,
        "xff_num_trusted_hops": 1,
        "normalize_path": true,
        "http2_protocol_options": http2(),
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{
            "name": "bench",
            "domains": ["*"],
            "routes": [{
                "match": {"prefix": "/"},
                "route": {"cluster": "upstream", "timeout": "30s"},
            }],
        }]},
    });
    json!({
        "name": "edge",
        "address": address(edge),
        // A balancer has as many connections to each worker; a few that are spread by chance have not.
        "connection_balance_config": {"exact_balance": {}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    })
}

/// Many streams, and many that are reset at once where nobody sheds.
fn http2() -> Value {
    json!({
        "max_concurrent_streams": UNLIMITED,
        "max_outbound_frames": UNLIMITED,
        "max_outbound_control_frames": UNLIMITED,
    })
}

fn cluster(upstream: SocketAddr) -> Value {
    const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    json!({
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [{
            "max_connections": UNLIMITED,
            "max_pending_requests": UNLIMITED,
            "max_requests": UNLIMITED,
            "max_retries": 0,
        }]},
        "typed_extension_protocol_options": {OPTIONS: {
            "@type": type_url(OPTIONS),
            "explicit_http_config": {"http2_protocol_options": http2()},
        }},
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}],
        },
    })
}

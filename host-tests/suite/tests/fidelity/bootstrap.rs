//! The bootstrap of an Envoy that plays a case.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::case::{Case, FailurePolicy, Plugin, Route, StatsTag, pair};

const TYPE: &str = "type.googleapis.com/";

/// As JSON, which is YAML.
pub(crate) fn bootstrap(
    case: &Case,
    module: &Path,
    clusters: &BTreeMap<String, SocketAddr>,
) -> Value {
    let mut filters = Vec::new();
    if !case.denied.is_empty() {
        filters.push(denied(&case.denied));
    }
    filters.extend(case.plugin.iter().map(|plugin| filter(plugin, module)));
    filters.push(json!({
        "name": "router",
        "typed_config": {
            "@type": format!("{TYPE}envoy.extensions.filters.http.router.v3.Router"),
            "suppress_envoy_headers": true,
        },
    }));
    let manager = json!({
        "@type": format!("{TYPE}envoy.extensions.filters.network.http_connection_manager.v3.\
            HttpConnectionManager"),
        "stat_prefix": "fidelity",
        "generate_request_id": false,
        "server_header_transformation": "PASS_THROUGH",
        "http_protocol_options": {"enable_trailers": true},
        "http_filters": filters,
        "route_config": {
            "name": "routes",
            "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": case.route.iter().map(route).collect::<Vec<_>>(),
            }],
        },
    });
    json!({
        "node": {
            "id": "node-1",
            "cluster": "nodes",
            "locality": {"region": "tokyo", "zone": "a"},
            "metadata": metadata_of("node"),
        },
        "admin": {"address": socket(SocketAddr::from(([127, 0, 0, 1], 0)))},
        "stats_config": {"stats_tags": case.stats_tag.iter().map(stats_tag).collect::<Vec<_>>()},
        "static_resources": {
            "listeners": [{
                "name": "fidelity",
                "address": socket(SocketAddr::from(([127, 0, 0, 1], 0))),
                "filter_chains": [{
                    "name": "chain",
                    "filters": [{"name": "http", "typed_config": manager}],
                }],
            }],
            "clusters": clusters.iter().map(|(name, addr)| cluster(name, *addr)).collect::<Vec<_>>(),
        },
    })
}

fn socket(addr: SocketAddr) -> Value {
    let address = addr.ip().to_string();
    json!({"socket_address": {"address": address, "port_value": addr.port()}})
}

/// One value of each kind, for properties.
fn metadata_of(what: &str) -> Value {
    json!({
        "name": what,
        "number": 1.5,
        "flag": true,
        "nothing": null,
        "list": ["a", 2],
        "map": {"key": "value"},
        "empty": "",
    })
}

fn stats_tag(StatsTag { name, regex }: &StatsTag) -> Value {
    json!({"tag_name": name, "regex": regex})
}

fn cluster(name: &str, addr: SocketAddr) -> Value {
    let protocol = format!("{TYPE}envoy.extensions.upstreams.http.v3.HttpProtocolOptions");
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "metadata": {"filter_metadata": {"fidelity": metadata_of(name)}},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": protocol,
                "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
            },
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{
                "locality": {"region": "taiwan", "zone": "b"},
                "lb_endpoints": [{
                    "endpoint": {"address": socket(addr)},
                    "metadata": {"filter_metadata": {"fidelity": metadata_of("host")}},
                }],
            }],
        },
    })
}

fn route(Route { name, prefix, header, cluster, direct }: &Route) -> Value {
    let (header, value) = pair(header);
    let headers = if header.is_empty() {
        json!([])
    } else {
        json!([{"name": header, "string_match": {"exact": value}}])
    };
    let (key, action) = match direct {
        Some(status) => ("direct_response", json!({"status": status})),
        // Trials end long before it, but for those that wait for it.
        None => ("route", json!({"cluster": cluster, "timeout": "5s"})),
    };
    json!({
        "name": name,
        "match": {"prefix": prefix, "headers": headers},
        "metadata": {"filter_metadata": {"fidelity": metadata_of(name)}},
        (key): action,
    })
}

fn denied(header: &str) -> Value {
    let principal = json!({"header": {"name": header, "present_match": true}});
    let policy = json!({"permissions": [{"any": true}], "principals": [principal]});
    json!({
        "name": "denied",
        "typed_config": {
            "@type": format!("{TYPE}envoy.extensions.filters.http.rbac.v3.RBAC"),
            "rules": {"action": "DENY", "policies": {"denied": policy}},
        },
    })
}

fn filter(plugin: &Plugin, module: &Path) -> Value {
    let text = |value: &str| json!({"@type": format!("{TYPE}google.protobuf.StringValue"), "value": value});
    let policy = match plugin.failure_policy {
        FailurePolicy::Closed => "FAIL_CLOSED",
        FailurePolicy::Open => "FAIL_OPEN",
        FailurePolicy::Reload => "FAIL_RELOAD",
    };
    let config = json!({
        "name": plugin.name,
        "root_id": plugin.root_id,
        "failure_policy": policy,
        "allow_on_headers_stop_iteration": plugin.allow_on_headers_stop_iteration,
        "configuration": text(&plugin.configuration),
        "vm_config": {
            "vm_id": plugin.vm_id,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": module}},
            "configuration": text(&plugin.vm_configuration),
            "environment_variables": {"key_values": plugin.env},
        },
    });
    json!({
        "name": plugin.name,
        "typed_config": {
            "@type": format!("{TYPE}envoy.extensions.filters.http.wasm.v3.Wasm"),
            "config": config,
        },
    })
}

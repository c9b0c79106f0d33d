//! The two listeners: where users enter, and where the other regions do.

use super::plan::View;
use super::routes::STREAM_IDLE_TIMEOUT;
use super::{RenderError, access_log, address, filters, routes, type_url};
use crate::yaml::{Node, list, map};
use std::net::SocketAddr;

/// The listener that users enter by.
pub const LISTENER_EDGE: &str = "edge";
/// The listener that other regions enter by.
pub const LISTENER_EAST_WEST: &str = "east-west";

/// How long any stream may last, whatever it does.
const STREAM_DURATION_MAX: &str = "300s";

/// Bytes that a connection may keep waiting.
const BUFFER_MAX: i64 = 1 << 20;

/// What differs between two connection managers.
struct Manager<'a> {
    stat_prefix: &'a str,
    use_remote_address: Node,
    filters: Node,
    routes: Node,
    access_log: Node,
}

/// The listener that users enter by.
pub(super) fn edge(view: &View<'_>) -> Result<Node, RenderError> {
    let manager = Manager {
        stat_prefix: "edge",
        use_remote_address: true.into(),
        filters: filters::edge(view)?,
        routes: routes::edge(view),
        access_log: access_log::edge(view, LISTENER_EDGE)?,
    };
    Ok(listener(LISTENER_EDGE.into(), view.site.edge, manager))
}

/// The listener that other regions enter by.
pub(super) fn east_west(view: &View<'_>) -> Result<Node, RenderError> {
    let manager = Manager {
        stat_prefix: "east_west",
        use_remote_address: Node::from(false)
            .because("The client's address and the request's id come from the edge before."),
        filters: filters::east_west(),
        routes: routes::east_west(),
        access_log: access_log::east_west(view, LISTENER_EAST_WEST)?,
    };
    let name = Node::from(LISTENER_EAST_WEST).because(
        "No guard and no mutual TLS: the edge of the other region has decided, and this listener\n\
         stays on loopback until the peer role exists.",
    );
    Ok(listener(name, view.site.peer, manager))
}

fn listener(name: Node, socket: SocketAddr, manager: Manager<'_>) -> Node {
    map! {
        "name" => name,
        "address" => address(socket),
        "per_connection_buffer_limit_bytes" => BUFFER_MAX,
        "filter_chains" => list![map! {
            "filters" => list![map! {
                "name" => "envoy.filters.network.http_connection_manager",
                "typed_config" => connection_manager(manager),
            }],
        }],
    }
}

fn connection_manager(manager: Manager<'_>) -> Node {
    let Manager { stat_prefix, use_remote_address, filters, routes, access_log } = manager;
    map! {
        "@type" => type_url(
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        ),
        "stat_prefix" => stat_prefix,
        "codec_type" => "AUTO",
        "use_remote_address" => use_remote_address,
        "internal_address_config" => nobody(),
        "normalize_path" => true,
        "merge_slashes" => true,
        "path_with_escaped_slashes_action" => "REJECT_REQUEST",
        "max_request_headers_kb" => 60_i64,
        "request_headers_timeout" => "10s",
        "stream_idle_timeout" => STREAM_IDLE_TIMEOUT,
        "common_http_protocol_options" => map! {
            "idle_timeout" => "60s",
            "max_stream_duration" => STREAM_DURATION_MAX,
            "max_headers_count" => 100_i64,
            "headers_with_underscores_action" => "REJECT_REQUEST",
        },
        "http2_protocol_options" => map! {
            "max_concurrent_streams" => 100_i64,
            "initial_stream_window_size" => 65_536_i64,
            "initial_connection_window_size" => BUFFER_MAX,
        },
        "upgrade_configs" => list![map! { "upgrade_type" => "websocket" }]
            .because("Decided by the guard like any request, and bounded by max_stream_duration."),
        "http_filters" => filters,
        "route_config" => routes,
        "access_log" => access_log,
    }
}

/// Who is internal: nobody. An internal caller may choose the request's id and send `x-envoy-*`
/// headers that are obeyed. Envoy takes an empty list for "every private address", so the list has
/// the one address that no packet comes from.
fn nobody() -> Node {
    let range = map! { "address_prefix" => "255.255.255.255", "prefix_len" => 32_i64 };
    map! { "cidr_ranges" => list![range] }.because(
        "Nobody is internal: an empty list would be every private address. So no client chooses\n\
         its request id or sends x-envoy-* headers that are obeyed.",
    )
}

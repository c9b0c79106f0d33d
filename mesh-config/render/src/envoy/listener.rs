//! The listeners: where users enter, where the other regions do, what is before the application
//! and what is behind it.

use super::plan::View;
use super::routes::STREAM_IDLE_TIMEOUT;
use super::{RenderError, access_log, address, filters, routes, tls, type_url};
use crate::yaml::{Node, list, map};
use policy_core::Role;
use policy_doc::PolicySet;

/// How long any stream may last, whatever it does.
const STREAM_DURATION_MAX: &str = "300s";

/// Bytes that a connection may keep waiting.
const BUFFER_MAX: i64 = 1 << 20;

/// What Envoy calls the listener of a role.
pub const fn listener_name(role: Role) -> &'static str {
    match role {
        Role::Edge => "edge",
        Role::Peer => "east-west",
        Role::Inbound => "inbound",
        Role::Outbound => "outbound",
    }
}

/// What the statistics of a listener's requests begin with, after `http.`.
pub const fn stat_prefix(role: Role) -> &'static str {
    match role {
        Role::Edge => "edge",
        Role::Peer => "east_west",
        Role::Inbound => "inbound",
        Role::Outbound => "outbound",
    }
}

/// The roles of a region's guards, each on a listener of its own. A single region has no other ones
/// that enter, and nobody to believe at a listener for them.
pub fn roles(set: &PolicySet) -> impl Iterator<Item = Role> {
    let has_peers = set.body.regions.len() > 1;
    Role::ALL.iter().copied().filter(move |role| has_peers || *role != Role::Peer)
}

/// The listener of a role.
pub(super) fn of(view: &View<'_>, role: Role) -> Result<Node, RenderError> {
    let manager = map! {
        "name" => "envoy.filters.network.http_connection_manager",
        "typed_config" => connection_manager(view, role)?,
    };
    let mut chain = vec![("filters".to_owned(), list![manager])];
    let socket = match role {
        Role::Edge | Role::Outbound => None,
        Role::Peer => Some(tls::for_peers(view)),
        Role::Inbound => Some(tls::for_workloads(view)),
    };
    chain.extend(socket.map(|socket| ("transport_socket".to_owned(), socket)));
    let name = Node::from(listener_name(role)).because(match role {
        Role::Edge => "Where users enter.",
        Role::Peer => "Where the other regions enter.",
        Role::Inbound => "Before the application: whatever reaches it passes here.",
        Role::Outbound => "Behind the application: where it sends what it asks of others.",
    });
    Ok(map! {
        "name" => name,
        "address" => address(view.site.listener(role)),
        "per_connection_buffer_limit_bytes" => BUFFER_MAX,
        "filter_chains" => list![Node::Map(chain)],
    })
}

fn connection_manager(view: &View<'_>, role: Role) -> Result<Node, RenderError> {
    let use_remote_address = match role {
        Role::Edge => Node::from(true),
        Role::Peer | Role::Inbound => Node::from(false)
            .because("The client's address and the request's id come from the edge before."),
        Role::Outbound => Node::from(false).because("The request's id is the application's."),
    };
    Ok(map! {
        "@type" => type_url(
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        ),
        "stat_prefix" => stat_prefix(role),
        "codec_type" => "AUTO",
        "use_remote_address" => use_remote_address,
        "internal_address_config" => nobody(),
        "forward_client_cert_details" => Node::from("SANITIZE")
            .because("x-forwarded-client-cert is what somebody says of a certificate: it is dropped."),
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
        "http_filters" => filters::of(view, role)?,
        "route_config" => routes::of(view, role),
        "access_log" => access_log::of(view, role)?,
    })
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

//! Mutual TLS: between regions, and between a region's own listeners and its gateway.
//!
//! TLS sees to it that a certificate comes from the authority of the region that it names. Who may
//! do what with it is the guard's decision, with a reason and a metric.

use super::plan::View;
use super::secrets::{self, IDENTITY, PEERS};
use super::{RenderError, identity, type_url};
use crate::yaml::{Node, list, map};

const NAME: &str = "envoy.transport_sockets.tls";

/// The socket of a listener that other regions enter by.
pub(super) fn for_peers(view: &View<'_>) -> Node {
    downstream(view, PEERS)
}

/// The socket of a listener that this region's gateways and workloads enter by.
pub(super) fn for_workloads(view: &View<'_>) -> Node {
    downstream(view, &secrets::of_region(&view.site.region))
}

fn downstream(view: &View<'_>, trust: &str) -> Node {
    let mut common = common(view);
    common.push(("alpn_protocols".to_owned(), list!["h2", "http/1.1"]));
    common.push((
        "validation_context_sds_secret_config".to_owned(),
        secret(view, trust)
            .because("A client is checked by the authority of the trust domain that it names."),
    ));
    map! {
        "name" => NAME,
        "typed_config" => map! {
            "@type" => type_url("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
            "require_client_certificate" => true,
            "disable_stateless_session_resumption" => Node::from(true)
                .because("A connection that resumed a session would not show its certificate again."),
            "disable_stateful_session_resumption" => true,
            "common_tls_context" => Node::Map(common),
        },
    }
}

/// The socket to a region, this one or another. Its Envoy shows one certificate; the other ids that
/// may speak for it are those of senders, and no reason to take a sender for the gateway.
pub(super) fn to_region(view: &View<'_>, region: &str) -> Result<Node, RenderError> {
    let id = identity::gateway_id(view.set, region)?;
    let name = map! { "san_type" => "URI", "matcher" => map! { "exact" => id } };
    let validation = map! {
        "default_validation_context" => map! { "match_typed_subject_alt_names" => list![name] },
        "validation_context_sds_secret_config" => secret(view, &secrets::of_region(region)),
    };
    let mut common = common(view);
    common.push(("combined_validation_context".to_owned(), validation));
    Ok(map! {
        "name" => NAME,
        "typed_config" => map! {
            "@type" => type_url("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
            "max_session_keys" => 0_i64,
            "common_tls_context" => Node::Map(common),
        },
    })
}

/// What both ends of every connection have: this region's certificate, and nothing older than TLS
/// 1.2.
fn common(view: &View<'_>) -> Vec<(String, Node)> {
    let versions = map! {
        "tls_minimum_protocol_version" => "TLSv1_2",
        "tls_maximum_protocol_version" => "TLSv1_3",
    };
    vec![
        ("tls_params".to_owned(), versions),
        ("tls_certificate_sds_secret_configs".to_owned(), list![secret(view, IDENTITY)]),
    ]
}

/// A secret that Envoy reads again when its file is replaced.
fn secret(view: &View<'_>, name: &str) -> Node {
    let directory = secrets::directory(&view.plan.secrets, &view.site.region);
    let source = map! {
        "path" => format!("{directory}/{}", secrets::file(name)),
        "watched_directory" => map! { "path" => directory },
    };
    map! {
        "name" => name,
        "sds_config" => map! { "path_config_source" => source, "resource_api_version" => "V3" },
    }
}

//! The HTTP filters of a listener, in their order: who the client is, tokens, the guard, the router.

use super::plan::View;
use super::plugin::guard;
use super::tokens::jwt_authn;
use super::{RenderError, type_url};
use crate::yaml::{Node, list, map};
use policy_core::Role;
use policy_core::name::{FILTER_STATE_PEER_IDS, METRIC_LABELS};

/// How labels are taken out of a metric's name, where the module writes them as Istio does:
/// `verdict=.=deny;.;reason=.=residency_denied;.;meshfence_decisions_total`.
pub(super) fn stats_config() -> Node {
    let tags = METRIC_LABELS.iter().map(|tag| {
        map! { "tag_name" => *tag, "regex" => format!("({tag}=\\.=(.*?);\\.;)") }
    });
    map! { "stats_tags" => tags.collect::<Vec<_>>() }
}

/// The filters of the listener of a role.
pub(super) fn of(view: &View<'_>, role: Role) -> Result<Node, RenderError> {
    let mut filters = Vec::new();
    if matches!(role, Role::Peer | Role::Inbound) {
        filters.push(peer_ids());
    }
    // Tokens were verified where the request entered the mesh; a peer passes on whom it is about.
    if role != Role::Peer && !view.set.mesh.issuers.is_empty() {
        filters.push(jwt_authn(view)?);
    }
    filters.push(guard(view, role)?);
    filters.push(router());
    Ok(Node::List(filters))
}

/// Keeps every URI of the client's certificate for the guard.
fn peer_ids() -> Node {
    let format = map! {
        "text_format_source" => map! { "inline_string" => "%DOWNSTREAM_PEER_URI_SAN%" },
        "omit_empty_values" => true,
    };
    let state = map! {
        "object_key" => FILTER_STATE_PEER_IDS,
        "factory_key" => "envoy.string",
        "format_string" => format,
        "skip_if_empty" => true,
    };
    map! {
        "name" => "envoy.filters.http.set_filter_state",
        "typed_config" => map! {
            "@type" => type_url("envoy.extensions.filters.http.set_filter_state.v3.Config"),
            "on_request_headers" => list![state].because(
                "All of them, joined by commas: the attribute that the guard could read otherwise has\n\
                 the first one only, and a certificate with two names speaks for nobody.",
            ),
        },
    }
}

fn router() -> Node {
    map! {
        "name" => "envoy.filters.http.router",
        "typed_config" => map! {
            "@type" => type_url("envoy.extensions.filters.http.router.v3.Router"),
        },
    }
}

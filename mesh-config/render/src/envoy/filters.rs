//! The HTTP filters of the edge, in their order: tokens, the guard, the router.

use super::clusters::{jwks_cluster, jwks_uri};
use super::plan::{Keys, View};
use super::{RenderError, type_url};
use crate::yaml::{Node, list, map};
use policy_core::Role;
use policy_core::name::{METRIC_LABELS, ROOT_GUARD};
use policy_doc::Issuer;
use serde_json::Value;

/// The name of the guard in configuration and log.
const GUARD_NAME: &str = "meshfence.guard";

/// How labels are taken out of a metric's name, where the module writes them as Istio does:
/// `verdict=.=deny;.;reason=.=residency_denied;.;meshfence_decisions_total`.
pub(super) fn stats_config() -> Node {
    let tags = METRIC_LABELS.iter().map(|tag| {
        map! { "tag_name" => *tag, "regex" => format!("({tag}=\\.=(.*?);\\.;)") }
    });
    map! { "stats_tags" => tags.collect::<Vec<_>>() }
}

/// The filters of the listener that users enter by.
pub(super) fn edge(view: &View<'_>) -> Result<Node, RenderError> {
    let mut filters = Vec::new();
    if !view.set.mesh.issuers.is_empty() {
        filters.push(jwt_authn(view)?);
    }
    filters.push(guard(view)?);
    filters.push(router());
    Ok(Node::List(filters))
}

/// The filters of the listener that other regions enter by.
pub(super) fn east_west() -> Node {
    list![router()]
}

fn router() -> Node {
    map! {
        "name" => "envoy.filters.http.router",
        "typed_config" => map! {
            "@type" => type_url("envoy.extensions.filters.http.router.v3.Router"),
        },
    }
}

fn guard(view: &View<'_>) -> Result<Node, RenderError> {
    let config = view.set.plugin_config(&view.site.region, Role::Edge);
    let json = serde_json::to_string_pretty(&config).map_err(RenderError::Configuration)?;
    let plugin = map! {
        "name" => GUARD_NAME,
        "root_id" => ROOT_GUARD,
        "failure_policy" => Node::from("FAIL_RELOAD")
            .because("A trap refuses requests until the module runs again; it never lets them pass."),
        "vm_config" => map! {
            "runtime" => "envoy.wasm.runtime.v8",
            "code" => map! { "local" => map! { "filename" => view.plan.module.as_str() } },
        },
        "configuration" => map! {
            "@type" => type_url("google.protobuf.StringValue"),
            "value" => Node::Lines(json),
        },
    };
    Ok(map! {
        "name" => GUARD_NAME,
        "typed_config" => map! {
            "@type" => type_url("envoy.extensions.filters.http.wasm.v3.Wasm"),
            "config" => plugin,
        },
    })
}

/// Verifies tokens and keeps their claims as metadata, which no client can write. Claims never
/// become headers.
fn jwt_authn(view: &View<'_>) -> Result<Node, RenderError> {
    let issuers = &view.set.mesh.issuers;
    let providers = issuers
        .iter()
        .map(|issuer| Ok((issuer.name.clone(), provider(issuer, &view.plan.keys)?)))
        .collect::<Result<Vec<_>, RenderError>>()?;
    let mut accepted: Vec<Node> =
        issuers.iter().map(|issuer| map! { "provider_name" => issuer.name.as_str() }).collect();
    accepted.push(map! { "allow_missing" => map! {} });
    // Health paths are answered whatever comes with them.
    let health = view.set.body.health_paths.iter();
    let mut rules: Vec<Node> =
        health.map(|path| map! { "match" => map! { "path" => path.as_str() } }).collect();
    rules.push(map! {
        "match" => map! { "prefix" => "/" },
        "requires" => Node::because(
            map! { "requires_any" => map! { "requirements" => accepted } },
            "No token: the guard decides. A token that does not verify: 401.",
        ),
    });
    Ok(map! {
        "name" => "envoy.filters.http.jwt_authn",
        "typed_config" => map! {
            "@type" => type_url("envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"),
            "providers" => Node::Map(providers),
            "rules" => Node::List(rules),
        },
    })
}

fn provider(issuer: &Issuer, keys: &Keys) -> Result<Node, RenderError> {
    let audiences: Vec<Node> =
        issuer.audiences.iter().map(|audience| audience.as_str().into()).collect();
    let (key, source) = match keys {
        Keys::Remote => ("remote_jwks", remote_keys(issuer)?),
        Keys::Inline(text) => ("local_jwks", inline_keys(text)?),
    };
    Ok(map! {
        "issuer" => issuer.issuer.as_str(),
        "audiences" => audiences,
        "require_expiration" => true,
        "from_headers" => Node::because(
            list![map! { "name" => "Authorization", "value_prefix" => "Bearer " }],
            "From here only: by default a query parameter is taken too, and queries are logged.",
        ),
        "forward" => true,
        "payload_in_metadata" => issuer.name.as_str(),
        key => source,
    })
}

fn remote_keys(issuer: &Issuer) -> Result<Node, RenderError> {
    jwks_uri(issuer)?;
    Ok(map! {
        "http_uri" => map! {
            "uri" => issuer.jwks_uri.as_str(),
            "cluster" => jwks_cluster(&issuer.name),
            "timeout" => "5s",
        },
        "cache_duration" => "300s",
        "async_fetch" => map! { "failed_refetch_duration" => "1s" },
    })
}

fn inline_keys(text: &str) -> Result<Node, RenderError> {
    let refuse = |problem| Err(RenderError::InlineKeys { problem });
    let Ok(set) = serde_json::from_str::<Value>(text) else {
        return refuse("are not JSON");
    };
    let Some(keys) = set.get("keys").and_then(Value::as_array).filter(|keys| !keys.is_empty())
    else {
        return refuse("have no list `keys`");
    };
    // `d` is the private part of a key pair, `k` a shared secret.
    if keys.iter().any(|key| key.get("d").is_some() || key.get("k").is_some()) {
        return refuse("contain a private key");
    }
    let pretty = serde_json::to_string_pretty(&set).map_err(RenderError::Configuration)?;
    Ok(Node::because(
        map! { "inline_string" => Node::Lines(pretty) },
        "Made for one run on one machine: whoever made them can issue any token.",
    ))
}

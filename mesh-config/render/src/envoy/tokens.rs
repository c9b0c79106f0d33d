//! Verifying tokens before the guard runs.

use super::clusters::{jwks_cluster, jwks_uri};
use super::plan::{Keys, View};
use super::{RenderError, type_url};
use crate::yaml::{Node, list, map};
use policy_doc::Issuer;
use serde_json::Value;

/// Verifies tokens and keeps their claims as metadata, which no client can write. Claims never
/// become headers.
pub(super) fn jwt_authn(view: &View<'_>) -> Result<Node, RenderError> {
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

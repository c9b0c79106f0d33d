//! `WasmPlugin`: the guard, in each place it is attached to.

use super::agent::Agent;
use super::plan::{Attached, IstioError, View};
use super::resource::{Kind, Resource, target};
use crate::yaml::{Node, list, map};
use policy_core::Role;
use policy_core::name::ROOT_GUARD;
use policy_core::wire::SharedClaims;
use policy_doc::AttachmentTarget;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const ABOUT: &[&str] = &[
    "The guard. It has to be in force before the routes are: apply the files in their order.",
    "",
    "What it needs of the mesh:",
    "- The keys: every variable under `vmConfig.env` has to be in the environment of the proxy, from",
    "  a Secret, 32 random bytes at least. Without it nothing is signed and no signature is believed.",
    "- meshConfig.pathNormalization.normalization: MERGE_SLASHES, so that routes and policies see the",
    "  path that the guard forwards.",
    "- proxyConfig.extraStatTags: [role, verdict, reason, outcome, lease, shard, region, context, kind,",
    "  source, priority, pool], or the labels stay inside the names of metrics.",
    "- The agent: every proxy with a guard asks it, so no Sidecar resource may hide it. Where the",
    "  regions are clusters of one mesh, its Service is one of meshConfig.serviceSettings that are",
    "  clusterLocal: a region asks its own agent.",
];

/// Where Istio keeps the verified claims of every issuer.
const CLAIMS_KEY: &str = "payload";
/// Before any other plugin of the phase: they see what the guard has judged.
const PRIORITY: i64 = 1000;

pub(super) fn all(view: &View<'_>) -> Result<Vec<Resource>, IstioError> {
    view.attachments.iter().map(|attached| plugin(view, attached)).collect()
}

fn plugin(view: &View<'_>, attached: &Attached<'_>) -> Result<Resource, IstioError> {
    let mut spec = vec![target(attached.target)];
    if let Some(mode) = mode(attached) {
        let comment = match attached.role {
            Role::Outbound => "What the workload sends.",
            _ => "What the workload gets.",
        };
        spec.push(("match".to_owned(), list![map! { "mode" => mode }].because(comment)));
    }
    let mut add = |key: &str, value: Node| spec.push((key.to_owned(), value));
    add("url", view.plugin.url.as_str().into());
    add("sha256", view.sha256.into());
    add("imagePullPolicy", "IfNotPresent".into());
    add("pluginName", ROOT_GUARD.into());
    add(
        "phase",
        Node::from("AUTHZ")
            .because("Behind the verification of tokens, before AuthorizationPolicy."),
    );
    add("priority", PRIORITY.into());
    add(
        "failStrategy",
        Node::from("FAIL_RELOAD").because(
            "A trap refuses requests until the module runs again; it never lets them pass.",
        ),
    );
    if let Some(hmac) = &view.set.body.hmac {
        let keys = hmac.keys.iter().map(|key| {
            map! { "name" => key.env.as_str(), "valueFrom" => "HOST" }
        });
        add("vmConfig", map! { "env" => keys.collect::<Vec<_>>() });
    }
    add("pluginConfig", configuration(view, attached.role)?);
    Ok(Resource {
        kind: Kind::WasmPlugin,
        name: attached.name.clone(),
        namespace: attached.namespace.to_owned(),
        spec: Node::Map(spec),
    })
}

/// A gateway or waypoint has one side only; a sidecar has two.
fn mode(attached: &Attached<'_>) -> Option<&'static str> {
    match (attached.target, attached.role) {
        (AttachmentTarget::Selector(_), Role::Inbound) => Some("SERVER"),
        (AttachmentTarget::Selector(_), Role::Outbound) => Some("CLIENT"),
        _ => None,
    }
}

/// What the guard reads: the same as in a plain Envoy, and where claims are.
fn configuration(view: &View<'_>, role: Role) -> Result<Node, IstioError> {
    let mut config = view.set.plugin_config(view.region, role);
    let issuers = view.set.mesh.issuers.iter();
    // `WasmPlugin` has no word for it.
    config.attachment.holds_response_headers = false;
    config.attachment.claims = Some(SharedClaims {
        key: CLAIMS_KEY.to_owned(),
        issuers: issuers.map(|issuer| (issuer.name.clone(), issuer.issuer.clone())).collect(),
    });
    config.attachment.agent = view.agent.as_ref().map(Agent::asked);
    let json = serde_json::to_value(&config)
        .map_err(|error| IstioError::Configuration(error.to_string()))?;
    node(json).ok_or_else(|| IstioError::Configuration("a number has no exact form".to_owned()))
}

/// The value as YAML, with its keys in order: in which one they come depends on how the JSON library
/// was built. Istio makes doubles of numbers, so those that are none are refused: the configuration
/// writes large ones as strings.
fn node(value: Value) -> Option<Node> {
    const EXACT_MAX: i64 = 1 << 53;
    Some(match value {
        Value::Bool(value) => Node::Bool(value),
        Value::Number(number) => {
            Node::Int(number.as_i64().filter(|number| (0..=EXACT_MAX).contains(number))?)
        }
        Value::String(text) => Node::Text(text),
        Value::Array(items) => Node::List(items.into_iter().map(node).collect::<Option<_>>()?),
        Value::Object(entries) => {
            let entries: BTreeMap<String, Value> = entries.into_iter().collect();
            let entries = entries.into_iter().map(|(key, value)| Some((key, node(value)?)));
            Node::Map(entries.collect::<Option<_>>()?)
        }
        Value::Null => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_core::name::METRIC_LABELS;

    #[test]
    fn the_labels_of_metrics_are_those_of_the_advice() {
        let labels = format!("extraStatTags: [{}]", METRIC_LABELS.join(", "));
        let advice: Vec<&str> = ABOUT.iter().flat_map(|line| line.split_whitespace()).collect();
        assert!(advice.join(" ").contains(&labels), "{labels}");
    }

    #[test]
    fn a_number_is_whole_and_small_or_refused() {
        for (json, is_fine) in [
            ("404", true),
            ("9007199254740992", true),
            ("9007199254740993", false),
            ("-1", false),
            ("0.5", false),
            ("null", false),
            ("{\"a\":[{\"b\":null}]}", false),
        ] {
            let value = serde_json::from_str(json).unwrap();
            assert_eq!(node(value).is_some(), is_fine, "{json}");
        }
    }
}

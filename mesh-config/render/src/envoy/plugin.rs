//! The guard as an HTTP filter: one module, one VM, a configuration for each role.

use super::plan::{Delivery, View};
use super::{EnvoyPlan, RenderError, type_url};
use crate::banner::banner;
use crate::yaml::{Node, emit, list, map};
use policy_core::Role;
use policy_core::name::{ROOT_GUARD, ROOT_REROUTE};
use policy_doc::PolicySet;
use std::collections::BTreeSet;

/// The message that configures a plugin.
const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";

/// What Envoy calls the guard of a role, in configuration, statistics and log.
pub fn plugin_name(role: Role) -> String {
    format!("meshfence.{role}")
}

/// Where the guard of a role gets its configuration, below the directory of [`Delivery::Files`].
pub fn plugin_file(region: &str, role: Role) -> String {
    format!("{region}/{role}.yaml")
}

/// The file that configures the guard of one role, for a plan with [`Delivery::Files`]: Envoy goes
/// over to what it says as soon as it is moved into its place.
///
/// # Errors
/// As for [`super::bootstrap`].
pub fn plugin_resource(
    set: &PolicySet,
    plan: &EnvoyPlan,
    region: &str,
    role: Role,
) -> Result<String, RenderError> {
    let view = View::new(set, plan, region)?;
    let text = resource(&view, role, configuration(&view, role)?);
    Ok(banner(set, &format!("region {region} as {role}")) + &text)
}

/// The same with another configuration: whatever the text says, so that it can be shown what a
/// proxy does with it.
///
/// # Errors
/// As for [`super::bootstrap`].
pub fn plugin_resource_with(
    set: &PolicySet,
    plan: &EnvoyPlan,
    region: &str,
    role: Role,
    configuration: &str,
) -> Result<String, RenderError> {
    Ok(resource(&View::new(set, plan, region)?, role, configuration.to_owned()))
}

/// The filter of a role.
pub(super) fn guard(view: &View<'_>, role: Role) -> Result<Node, RenderError> {
    let name = plugin_name(role);
    Ok(match &view.plan.delivery {
        Delivery::Inline => {
            map! { "name" => name, "typed_config" => filter(view, role, configuration(view, role)?) }
        }
        Delivery::Files(directory) => {
            let path = format!("{directory}/{}", plugin_file(&view.site.region, role));
            let source = map! {
                "path_config_source" => map! { "path" => path },
                "resource_api_version" => "V3",
            };
            let discovery = map! {
                "config_source" => source,
                "type_urls" => list![type_url(WASM)],
            };
            map! {
                "name" => name,
                "config_discovery" => discovery.because(
                    "Replace the file by moving another one into its place. Without a first one every\n\
                     request is answered with 500.",
                ),
            }
        }
    })
}

fn configuration(view: &View<'_>, role: Role) -> Result<String, RenderError> {
    let config = view.set.plugin_config(&view.site.region, role);
    serde_json::to_string_pretty(&config).map_err(RenderError::Configuration)
}

fn resource(view: &View<'_>, role: Role, configuration: String) -> String {
    emit(&map! {
        "resources" => list![map! {
            "@type" => type_url("envoy.config.core.v3.TypedExtensionConfig"),
            "name" => plugin_name(role),
            "typed_config" => filter(view, role, configuration),
        }],
    })
}

fn filter(view: &View<'_>, role: Role, configuration: String) -> Node {
    let mut plugin = vec![
        ("name".to_owned(), Node::from(plugin_name(role))),
        ("root_id".to_owned(), Node::from(ROOT_GUARD)),
        (
            "failure_policy".to_owned(),
            Node::from("FAIL_RELOAD").because(
                "A trap refuses requests until the module runs again; it never lets them pass.",
            ),
        ),
    ];
    if view.set.redacts() {
        plugin.push((
            "allow_on_headers_stop_iteration".to_owned(),
            Node::from(true).because(
                "Headers of a response that is redacted wait for its body, so that one that cannot be\n\
                 is refused with 502 and not cut off.",
            ),
        ));
    }
    plugin.push(("vm_config".to_owned(), vm(view)));
    plugin.push((
        "configuration".to_owned(),
        map! {
            "@type" => type_url("google.protobuf.StringValue"),
            "value" => Node::Lines(configuration),
        },
    ));
    map! { "@type" => type_url(WASM), "config" => Node::Map(plugin) }
}

/// The filter on the cluster of a peer that makes a second pass of a request possible.
pub(super) fn reroute(view: &View<'_>) -> Node {
    let plugin = map! {
        "name" => format!("meshfence.{ROOT_REROUTE}"),
        "root_id" => ROOT_REROUTE,
        "failure_policy" => "FAIL_RELOAD",
        "vm_config" => vm(view),
    };
    let filter = map! { "@type" => type_url(WASM), "config" => plugin };
    map! {
        "name" => format!("meshfence.{ROOT_REROUTE}"),
        "typed_config" => filter.because(
            "A 421 of the peer's guard becomes a redirect that the router follows once.",
        ),
    }
}

/// The VM, the same for every role of a region, so that they share one.
fn vm(view: &View<'_>) -> Node {
    let mut vm = vec![
        ("runtime".to_owned(), Node::from("envoy.wasm.runtime.v8")),
        ("code".to_owned(), map! { "local" => map! { "filename" => view.plan.module.as_str() } }),
    ];
    // Envoy refuses a name that comes twice.
    let keys = view.set.body.hmac.iter().flat_map(|hmac| &hmac.keys);
    let names: BTreeSet<&str> = keys.map(|key| key.env.as_str()).collect();
    if !names.is_empty() {
        let names: Vec<Node> = names.into_iter().map(Node::from).collect();
        let variables = map! { "host_env_keys" => names };
        vm.push((
            "environment_variables".to_owned(),
            variables.because("The secrets that proxies sign with: out of Envoy's environment."),
        ));
    }
    Node::Map(vm)
}

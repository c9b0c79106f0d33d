//! The whole file.

use super::plan::View;
use super::{EnvoyPlan, RenderError, address, clusters, filters, listener, type_url};
use crate::banner::banner;
use crate::yaml::{Node, emit, list, map};
use policy_doc::PolicySet;

/// Downstream connections of one proxy; more are closed at once.
const CONNECTIONS_MAX: i64 = 10_000;

/// The complete Envoy bootstrap of one region, as YAML.
///
/// # Errors
/// When the plan does not hold for the policy set: see [`RenderError`].
pub fn bootstrap(set: &PolicySet, plan: &EnvoyPlan, region: &str) -> Result<String, RenderError> {
    let document = document(set, plan, region)?;
    Ok(banner(set, &format!("region {region}")) + &emit(&document))
}

/// The same before it becomes text.
pub(super) fn document(
    set: &PolicySet,
    plan: &EnvoyPlan,
    region: &str,
) -> Result<Node, RenderError> {
    let view = View::new(set, plan, region)?;
    Ok(map! {
        "node" => node(&view),
        "admin" => map! {
            "address" => address(view.site.admin),
            "ignore_global_conn_limit" => true,
        },
        "stats_config" => filters::stats_config(),
        "overload_manager" => overload_manager(),
        "static_resources" => map! {
            "listeners" => listeners(&view)?,
            "clusters" => clusters::all(&view)?,
        },
    })
}

fn listeners(view: &View<'_>) -> Result<Node, RenderError> {
    let listeners = listener::roles(view.set).map(|role| listener::of(view, role));
    Ok(Node::List(listeners.collect::<Result<_, _>>()?))
}

fn node(view: &View<'_>) -> Node {
    let region = &view.site.region;
    map! {
        "id" => format!("meshfence-{region}"),
        "cluster" => format!("meshfence-{}", view.set.name),
        "locality" => map! { "region" => view.locality(region) },
    }
}

fn overload_manager() -> Node {
    map! {
        "resource_monitors" => list![map! {
            "name" => "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config" => map! {
                "@type" => type_url(
                    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                ),
                "max_active_downstream_connections" => CONNECTIONS_MAX,
            },
        }],
    }
}

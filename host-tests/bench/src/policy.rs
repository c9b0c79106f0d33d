//! The policy set of the bench, and the file that configures the plugin with it.

use crate::trouble::Trouble;
use local_mesh::ports::Ports;
use policy_core::{Priority, Role};
use policy_doc::{PolicySet, Purpose, Source};
use render::{AccessLog, Delivery, EnvoyPlan, Keys, Site};

/// The host that requests are for.
pub const HOST: &str = "bench.example";
/// The region.
pub const REGION: &str = "taiwan";
/// The variable with the secret that workers of one proxy seal with what they tell each other.
pub const SECRET: &str = "MESHFENCE_HMAC_K1";

const TEXT: &str = include_str!("../policy/policy.yaml");

/// The policy set.
///
/// # Errors
/// What is wrong with it.
pub fn set() -> Result<PolicySet, Trouble> {
    let source = Source { file: "policy.yaml".to_owned(), text: TEXT.to_owned() };
    let loaded = policy_doc::load(vec![source], Purpose::Deploy);
    let told = policy_doc::render_human(&loaded.diagnostics, &loaded.sources, false);
    loaded.set.ok_or(Trouble::Other(told))
}

/// A request of a priority has this path.
pub const fn path(priority: Priority) -> &'static str {
    match priority {
        Priority::Critical => "/critical/1",
        Priority::High => "/high/1",
        Priority::Normal => "/normal/1",
        Priority::Low => "/low/1",
    }
}

/// What the plugin of an Envoy reads, as the product renders it.
///
/// # Errors
/// That it cannot be rendered.
pub fn plugin(ports: &Ports, module: &str) -> Result<String, Trouble> {
    let Ports { edge, admin, peer, inbound, outbound, application, .. } = *ports;
    let region = REGION.to_owned();
    let site = Site { region, edge, admin, peer, inbound, outbound, application };
    let plan = EnvoyPlan {
        sites: vec![site],
        module: module.to_owned(),
        keys: Keys::Inline(String::new()),
        access_log: AccessLog::Stdout,
        secrets: "unused".to_owned(),
        delivery: Delivery::Files("unused".to_owned()),
    };
    Ok(render::plugin_resource(&set()?, &plan, REGION, Role::Edge)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_priority_has_a_path_of_its_own() {
        let set = set().unwrap();
        let body = &set.body;
        assert_eq!(body.contexts.len(), Priority::ALL.len());
        for (context, priority) in body.contexts.iter().zip(Priority::ALL) {
            assert_eq!(context.priority, *priority);
            assert!(path(*priority).starts_with(&format!("/{priority}/")));
        }
    }
}

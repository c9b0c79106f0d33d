//! A policy that is evaluated beside the one in force, and changes nothing.

use policy_core::wire::{ConfigFault, PluginConfig};
use policy_core::{Decision, Policy, Reason};

/// What a candidate would have done with a request, where that is something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) reason: Reason,
    pub(crate) rule: Option<Box<str>>,
    /// The name of the region where the request would have run.
    pub(crate) region: Option<Box<str>>,
}

/// Compiles the candidate of a configuration, if it has one: as the policy in force is attached, and
/// with the region state that the configuration brings.
///
/// # Errors
/// The JSON path of the first thing that cannot be. The policy in force serves all the same.
pub(crate) fn compile(config: &PluginConfig) -> Result<Option<Policy>, ConfigFault> {
    let Some(candidate) = &config.candidate else { return Ok(None) };
    let mut own = PluginConfig {
        format: config.format,
        policy_set: candidate.policy_set.clone(),
        attachment: config.attachment.clone(),
        on_rejected: None,
        policy: candidate.policy.clone(),
        candidate: None,
    };
    own.policy.fencing.static_state = None;
    let at =
        |fault: ConfigFault| ConfigFault { path: format!("candidate.{}", fault.path), ..fault };
    let policy = Policy::compile(&own).map_err(at)?;
    let Some(mut state) = config.policy.fencing.static_state.clone() else {
        return Ok(Some(policy));
    };
    // Leases that only one of the two knows are unknown to the other.
    state.leases.retain(|name, _| policy.find_lease(name).is_some());
    own.policy.fencing.static_state = Some(state);
    Policy::compile(&own).map(Some).map_err(at)
}

/// What the candidate would have done otherwise. Regions and profiles are compared by their names: two policies
/// need not count them alike.
pub(crate) fn difference(
    policy: &Policy,
    decision: &Decision<'_>,
    candidate: &Policy,
    would: &Decision<'_>,
) -> Option<Difference> {
    let region = |policy: &Policy, decision: &Decision<'_>| -> Option<Box<str>> {
        decision.region.map(|region| policy.region_name(region).into())
    };
    let same_profiles = || {
        let ours = decision.redact.iter().map(|number| policy.profiles().name(number));
        ours.eq(would.redact.iter().map(|number| candidate.profiles().name(number)))
    };
    let is_same = would.reason == decision.reason
        && would.status == decision.status
        && same_profiles()
        && region(candidate, would) == region(policy, decision);
    (!is_same).then(|| Difference {
        reason: would.reason,
        rule: would.rule.map(Into::into),
        region: region(candidate, would),
    })
}

//! The decision record: one JSON object in the access log.
//!
//! No client bytes go into it: names come from the policy, everything else from closed sets.

use crate::stream::DecisionId;
use crate::trust::Sender;
use policy_core::{Decision, Policy, Reason, RegionState};
use serde::Serialize;

/// One decision, as the log has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'d> {
    id: String,
    policy_set: &'d str,
    policy_hash: &'d str,
    role: &'d str,
    region: &'d str,
    /// The region whose gateway sent the request, or `gateway` for one of this region.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'d str>,
    /// Where region state came from; `static` says that no agent is behind it.
    state: &'static str,
    situation: &'static str,
    /// The regions that region state says are down.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    down: Vec<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'static str>,
    verdict: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'d str>,
    /// How many headers were dropped that no caller may set.
    #[serde(skip_serializing_if = "is_zero")]
    stripped: usize,
}

/// What a record says beside its decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'s> {
    pub(crate) sender: Sender,
    pub(crate) version: Option<&'s str>,
    pub(crate) stripped: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The record of a decision.
pub(crate) fn of(
    id: DecisionId,
    policy: &Policy,
    state: &RegionState,
    decision: &Decision<'_>,
    seen: &Seen<'_>,
) -> Vec<u8> {
    let (policy_set, policy_hash) = policy.set();
    let record = Record {
        id: id.to_string(),
        policy_set,
        policy_hash: policy_hash.get(..12).unwrap_or(policy_hash),
        role: policy.role().as_str(),
        region: policy.region_name(policy.here()),
        from: match seen.sender {
            Sender::Anybody => None,
            Sender::Region(region) => Some(policy.region_name(region)),
            Sender::Gateway => Some("gateway"),
        },
        state: state.origin.as_str(),
        situation: state.situation.as_str(),
        down: policy
            .all_regions()
            .without(state.up)
            .iter()
            .map(|region| policy.region_name(region))
            .collect(),
        context: decision.context.map(|context| &*context.name),
        effect: decision.effect.map(policy_core::Effect::as_str),
        verdict: decision.verdict().as_str(),
        reason: decision.reason.as_str(),
        part: decision.malformed,
        rule: decision.rule,
        country: decision.countries.first().map(|country| country.to_string()),
        to: decision.region.map(|region| policy.region_name(region)),
        lease: decision.held.map(|held| held.lease),
        shard: decision.held.and_then(|held| held.shard),
        epoch: decision.held.map(|held| held.epoch.to_string()),
        holder: decision.held.map(|held| policy.region_name(held.holder)),
        version: seen.version,
        stripped: seen.stripped,
    };
    // Strings and numbers always serialise.
    serde_json::to_vec(&record).unwrap_or_default()
}

/// The record of a request that there was no policy for.
pub(crate) fn without_policy(id: DecisionId) -> Vec<u8> {
    let reason = Reason::PolicyUnavailable;
    format!(r#"{{"id":"{id}","verdict":"{}","reason":"{reason}"}}"#, reason.verdict()).into_bytes()
}

/// Adds what came of a request that was let pass here: its region could not be reached, or another
/// guard refused it.
pub(crate) fn amend(record: &mut Vec<u8>, reason: Reason) {
    let verdict = reason.verdict();
    if record.pop() == Some(b'}') {
        let outcome = format!(r#","outcome":{{"verdict":"{verdict}","reason":"{reason}"}}}}"#);
        record.extend_from_slice(outcome.as_bytes());
    }
}

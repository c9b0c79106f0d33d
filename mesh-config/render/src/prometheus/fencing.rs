//! What there is to see where it is not certain who may write.

use super::{Alert, Severity, grows};
use policy_core::Reason;
use policy_core::name::{
    METRIC_DECISIONS, METRIC_FOREIGN, METRIC_LEASE_KNOWN, METRIC_POLLS, METRIC_STATE_AGE,
};
use policy_doc::PolicySet;

/// Region state that is older than so many milliseconds has missed several questions.
const OLD_MS: u32 = 5_000;

/// The alerts about region state and leases.
pub(super) fn alerts(set: &PolicySet) -> Vec<Alert> {
    vec![doubt(set), vacant(set), contradiction(set), old(set), refused(set), foreign(set)]
}

/// Leased writes are refused.
fn doubt(set: &PolicySet) -> Alert {
    Alert {
        name: "MeshfenceLeaseUnknown",
        severity: Severity::P0,
        expr: format!("min by (instance, lease, shard) ({METRIC_LEASE_KNOWN}) == 0"),
        // A dead region is replaced within 25 seconds.
        lasts: "30s",
        summary: format!("nobody may write to a lease of {}", set.name),
        description: "For longer than a failover takes this proxy has not known for certain who holds \
                      the lease. It refuses the writes that need it (503).",
        runbook: "1. If MeshfenceRegionStateOld fires too, start there: the agent does not answer.\n\
                  2. Ask the agent of the region for its state. If it knows the holder and the proxies \
                  do not, look for MeshfenceEpochContradiction: they do not believe it.\n\
                  3. Never make proxies pass writes without a lease; there is no switch for it.",
    }
}

/// Nobody holds a lease, and that is certain.
fn vacant(set: &PolicySet) -> Alert {
    let (vacant, draining) = (Reason::LeaseVacant, Reason::LeaseDraining);
    let counter = format!(r#"{METRIC_DECISIONS}{{reason=~"{vacant}|{draining}"}}"#);
    Alert {
        name: "MeshfenceLeaseVacant",
        severity: Severity::P0,
        expr: format!("sum by (instance) (increase({counter}[1m])) > 0"),
        // A failover takes less than half a minute, and is in the last minute for one more.
        lasts: "2m",
        summary: format!("writes of {} are refused because nobody holds their lease", set.name),
        description: "The lease was given up or is being handed over, and for longer than a failover takes \
                      no region has got it. That is so in all regions.",
        runbook: "1. Ask the agents of both regions for their state: is one of them to take it? Are both \
                  regions healthy?\n\
                  2. See whether the store of the leases has a majority: without it nobody is given \
                  one.\n\
                  3. Never make proxies pass writes without a lease; there is no switch for it.",
    }
}

/// The past has been restored, or two regions think that they hold a lease.
fn contradiction(set: &PolicySet) -> Alert {
    let counter = format!(r#"{METRIC_POLLS}{{outcome=~"epoch_regressed|two_holders"}}"#);
    Alert {
        name: "MeshfenceEpochContradiction",
        severity: Severity::P0,
        expr: grows(&counter, "5m"),
        lasts: "0m",
        summary: format!("an agent of {} contradicts what proxies have seen of a lease", set.name),
        description: "It told a lower epoch than before, or another holder for the same one. The lease \
                      is in doubt and its writes are refused, but writes with the newer epoch may have \
                      been made.",
        runbook: "1. Find out whether the store of the leases was restored from a backup, or a lease \
                  deleted by hand: that is the usual cause.\n\
                  2. Compare the epochs of the agents of all regions with the highest that each \
                  datastore has accepted. None may ever be lower.\n\
                  3. Give the lease out anew with an epoch above all of them.\n\
                  4. Look for writes of both holders in the decision records of that time.",
    }
}

/// The agent does not answer.
fn old(set: &PolicySet) -> Alert {
    let poll_ms = set.body.fencing.lease.poll_ms;
    let old_ms = OLD_MS.max(poll_ms.saturating_mul(3));
    Alert {
        name: "MeshfenceRegionStateOld",
        severity: Severity::P1,
        expr: format!("max by (instance) ({METRIC_STATE_AGE}) > {old_ms}"),
        lasts: "10s",
        summary: format!("proxies of {} have had no region state for a while", set.name),
        description: "As soon as the leases that were known have run out, writes that need them are \
                      refused.",
        runbook: "See what became of the questions, `meshfence_region_state_polls_total` by `outcome`: \
                  `no_answer` and `not_sent`: is the agent there, and does the proxy know its cluster? \
                  `bad_status`: its log. Anything else: MeshfenceRegionStateRefused.",
    }
}

/// The agent says what proxies do not believe.
fn refused(set: &PolicySet) -> Alert {
    const OUTCOMES: &str =
        "bad_signature|malformed|oversized|other_region|replayed|overlong|too_many";
    Alert {
        name: "MeshfenceRegionStateRefused",
        severity: Severity::P1,
        expr: format!(
            r#"sum by (instance, outcome) (increase({METRIC_POLLS}{{outcome=~"{OUTCOMES}"}}[1m])) > 0"#
        ),
        lasts: "30s",
        summary: format!("proxies of {} do not believe what answers for an agent", set.name),
        description: "Somebody else answers, somebody changes the answers, or keys, releases and times \
                      of agent and proxies do not fit together.",
        runbook: "By `outcome`: `bad_signature`: does the agent have a key of `Mesh.spec.hmac`? \
                  `other_region`: `agent` leads to another region's. `overlong`: the agent grants for \
                  longer than `Fencing.spec.lease.ttl` of the proxies. `replayed`: two agents answer \
                  under one name, or one was started again without its counter; raise its generation. \
                  `malformed`, `oversized`, `too_many`: releases of agent and proxy. If none of that is \
                  so, somebody is between them.",
    }
}

/// Somebody else writes where guards do.
fn foreign(set: &PolicySet) -> Alert {
    Alert {
        name: "MeshfenceForeignSharedData",
        severity: Severity::P1,
        expr: grows(METRIC_FOREIGN, "5m"),
        lasts: "0m",
        summary: format!("another plugin writes under names of the guards of {}", set.name),
        description: "It was not believed. A plugin that does so by accident would do it under another \
                      name; guards with different keys look the same.",
        runbook: "1. See whether all attachments of the proxy have the same keys in their environment.\n\
                  2. List the other plugins of the proxy, take out the one that does it, and find out \
                  who put it there.",
    }
}

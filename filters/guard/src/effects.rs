//! What a passed request carries on.

use crate::baggage;
use crate::facts::Facts;
use crate::header;
use crate::host::{Headers, Host, HostFault};
use crate::versioning::{self, Versions};
use crate::via::Via;
use origin_tag::Marking;
use policy_core::{Consistency, Context, Decision, Policy, Verdict};

/// What goes onto a request beside its decision.
#[derive(Debug)]
pub(crate) struct Carried<'c> {
    /// The regions that it has passed.
    pub(crate) via: Via,
    /// The canonical target, if it is not the one that came.
    pub(crate) target: Option<&'c [u8]>,
    /// The subject, for the next hop.
    pub(crate) subject: Option<&'c str>,
    /// What it says of versions.
    pub(crate) versions: Versions,
    /// How much the application should leave out: 0 to 4.
    pub(crate) degrade: u8,
    /// Headers of the client that another region does not get.
    pub(crate) withheld: Vec<&'c str>,
    /// The signature of what the workload may pass on.
    pub(crate) sig: Option<String>,
}

/// Writes what a decision means onto a request. A header is written only where it changes.
/// `may_stay` says which headers of the mesh came from somebody who may set them.
pub(crate) fn apply(
    host: &mut impl Host,
    policy: &Policy,
    decision: &Decision<'_>,
    (headers, facts): (&Headers, &Facts<'_>),
    carried: &Carried<'_>,
    may_stay: impl Fn(&[u8]) -> bool,
) -> Result<(), HostFault> {
    let stays = |name: &[u8]| may_stay(name) && has_a_meaning(name, decision);
    for name in facts.reserved.iter().filter(|name| !stays(name)) {
        host.remove_request_header(name)?;
    }
    for name in &carried.withheld {
        host.remove_request_header(name.as_bytes())?;
    }
    if carried.versions.is_match_spent {
        host.remove_request_header(header::IF_MATCH.as_bytes())?;
    }
    if let Some(target) = carried.target {
        host.set_request_header(":path", target)?;
    }
    let claimed = &facts.claimed;
    let mut set = |name: &str, value: &[u8], came: Option<&[u8]>| {
        let is_there = came == Some(value) && stays(name.as_bytes());
        if is_there { Ok(()) } else { host.set_request_header(name, value) }
    };
    if decision.verdict() == Verdict::Route
        && let Some(region) = decision.region
    {
        set(header::ROUTE, policy.region_name(region).as_bytes(), None)?;
        let via = carried.via.with(policy, policy.here());
        set(header::VIA, via.as_bytes(), claimed.via)?;
    }
    if let Some(subject) = carried.subject {
        set(header::SUBJECT, subject.as_bytes(), claimed.subject)?;
    }
    if let Some(fence) = &decision.fence {
        let token = fencing::token(fence, policy.region_name(fence.holder));
        set(header::FENCE, token.as_bytes(), claimed.fence)?;
        set(header::EPOCH, fence.epoch.to_string().as_bytes(), claimed.epoch)?;
        if let Some(consistency) = decision.context.map(|context| context.consistency) {
            set(header::CONSISTENCY, consistency.as_str().as_bytes(), claimed.consistency)?;
            let lock = lock(policy, decision, facts);
            if let Some(lock) = lock {
                set(header::LOCK, lock, claimed.lock)?;
            }
            if fencing::forbids_retries(consistency) {
                set(header::ENVOY_MAX_RETRIES, b"0", None)?;
            }
        }
    }
    let Versions { marking, is_ahead, seen, conflict, .. } = &carried.versions;
    if let Some(stamp) = marking.and_then(Marking::stamp) {
        let origin = policy.region_name(policy.here());
        set(header::ORIGIN, origin.as_bytes(), claimed.origin)?;
        set(header::VERSION, &stamp.to_bytes(), claimed.version)?;
        if let Some(seen) = seen {
            set(header::BASE, &seen.version.to_bytes(), claimed.base)?;
            if let Some(vector) = versioning::vector(policy, stamp, seen) {
                set(header::VV, vector.as_bytes(), claimed.vector)?;
            }
        }
    }
    if *is_ahead || matches!(marking, Some(Marking::Unsynced(_))) {
        set(header::UNSYNCED, b"1", claimed.unsynced)?;
    }
    if let Some(conflict) = conflict {
        set(header::CONFLICT, conflict.as_str().as_bytes(), claimed.conflict)?;
    }
    if let Some(merging) = decision.merge {
        let text = versioning::merging(policy, merging);
        if let Some(text) = text {
            set(header::MERGE, text.as_bytes(), claimed.merge)?;
        }
    }
    if decision.stale {
        set(header::STALE, b"1", claimed.stale)?;
    }
    if carried.degrade > 0 {
        set(header::DEGRADE, carried.degrade.to_string().as_bytes(), claimed.degrade)?;
    }
    if let Some(left) = decision.remaining_ms {
        set(header::DEADLINE_MS, left.to_string().as_bytes(), claimed.deadline_ms)?;
    }
    if let Some(sig) = &carried.sig {
        set(header::SIG, sig.as_bytes(), None)?;
    }
    baggage::hint(host, policy, decision, &carried.versions, headers)
}

/// The token of the lock that a write is made under: the client's, where requests enter.
fn lock<'h>(policy: &Policy, decision: &Decision<'_>, facts: &Facts<'h>) -> Option<&'h [u8]> {
    facts.lock.filter(|_| policy.role().routes() && is_locked(decision))
}

/// Whether it is a write that is made under a lock.
fn is_locked(decision: &Decision<'_>) -> bool {
    let is_locked = |context: &Context| context.consistency == Consistency::Locked;
    decision.fence.is_some() && decision.context.is_some_and(is_locked)
}

/// A header of the mesh that says nothing of this request does not go on: an application may take
/// it for more than it is.
fn has_a_meaning(name: &[u8], decision: &Decision<'_>) -> bool {
    let is = |known: &[&str]| known.iter().any(|known| name == known.as_bytes());
    if is(&[header::FENCE, header::EPOCH, header::CONSISTENCY]) {
        return decision.fence.is_some();
    }
    if is(&[
        header::ORIGIN,
        header::VERSION,
        header::UNSYNCED,
        header::BASE,
        header::VV,
        header::CONFLICT,
    ]) {
        return decision.is_eventual_write();
    }
    if is(&[header::MERGE]) {
        return decision.merge.is_some();
    }
    if is(&[header::LOCK]) {
        return is_locked(decision);
    }
    if is(&[header::STALE]) {
        return decision.stale;
    }
    true
}

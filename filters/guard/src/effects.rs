//! What a passed request carries on.

use crate::header;
use crate::host::{Host, HostFault};
use crate::via;
use origin_tag::Marking;
use policy_core::{Consistency, Decision, Policy, Verdict};

/// Writes what a decision means onto a request. A header is written only where it changes.
pub(crate) fn apply(
    host: &mut impl Host,
    policy: &Policy,
    decision: &Decision<'_>,
    passed: Option<&[u8]>,
    target: Option<&[u8]>,
    version: Option<(&str, Marking)>,
    reserved: &[&[u8]],
) -> Result<(), HostFault> {
    for name in reserved {
        host.remove_request_header(name)?;
    }
    if let Some(target) = target {
        host.set_request_header(":path", target)?;
    }
    if decision.verdict() == Verdict::Route
        && let Some(region) = decision.region
    {
        host.set_request_header(header::ROUTE, policy.region_name(region).as_bytes())?;
        let via = via::with(passed, policy.region_name(policy.here()));
        host.set_request_header(header::VIA, &via)?;
    }
    if let Some(fence) = &decision.fence {
        let token = fencing::token(fence, policy.region_name(fence.holder));
        host.set_request_header(header::FENCE, token.as_bytes())?;
        host.set_request_header(header::EPOCH, fence.epoch.to_string().as_bytes())?;
        if let Some(consistency) = decision.context.map(|context| context.consistency) {
            leased(host, consistency)?;
        }
    }
    if let Some((version, marking)) = version {
        host.set_request_header(header::ORIGIN, policy.region_name(policy.here()).as_bytes())?;
        host.set_request_header(header::VERSION, version.as_bytes())?;
        if matches!(marking, Marking::Unsynced(_)) {
            host.set_request_header(header::UNSYNCED, b"1")?;
        }
    }
    if let Some(left) = decision.remaining_ms {
        host.set_request_header(header::DEADLINE_MS, left.to_string().as_bytes())?;
    }
    Ok(())
}

fn leased(host: &mut impl Host, consistency: Consistency) -> Result<(), HostFault> {
    host.set_request_header(header::CONSISTENCY, consistency.as_str().as_bytes())?;
    if fencing::forbids_retries(consistency) {
        host.set_request_header(header::ENVOY_MAX_RETRIES, b"0")?;
    }
    Ok(())
}

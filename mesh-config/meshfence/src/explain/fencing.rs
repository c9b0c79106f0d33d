//! Step 6 in words: the lease that a request needs, and the token that it brings.

use super::{Finding, Seen};
use guard::header;
use policy_core::{LeaseView, Policy, Reason, Step};

pub(super) fn findings(seen: &Seen<'_>) -> Vec<Finding> {
    let Some(policy) = seen.guard.policy() else { return Vec::new() };
    let mut found = Vec::new();
    for step in seen.trace {
        if let Step::Lease { lease, shard, view } = step {
            let name = match shard {
                Some(shard) => format!("{}/{shard}", lease.name),
                None => lease.name.to_string(),
            };
            let origin = policy.configured_state().origin.as_str();
            let held = matches!(view, LeaseView::Held(_));
            let text = format!("lease {name}: {}; region state: {origin}", told(policy, *view));
            found.push(Finding::matched(held, text));
        }
    }
    let missing = seen.reason == Some(Reason::IdempotencyKeyMissing);
    if missing {
        found.push(Finding::matched(false, "the write has no `Idempotency-Key`, and needs one"));
    }
    if seen.reason == Some(Reason::StreamRefused) {
        found.push(Finding::matched(false, "an upgrade or a tunnel cannot be fenced"));
    }
    if !policy.role().routes() && (found.len() == 1 && !missing) {
        found.push(token(seen));
    } else if let Some(reason) = seen.reason.filter(|reason| is_about_holder(*reason)) {
        let text = match reason {
            Reason::HolderNotPermitted => "residency does not let its holder have the data",
            _ => "its holder is down",
        };
        found.push(Finding::matched(false, text));
    }
    if found.is_empty() {
        found.push(Finding::note("no lease is needed"));
    }
    found
}

fn is_about_holder(reason: Reason) -> bool {
    matches!(reason, Reason::HolderNotPermitted | Reason::HolderUnreachable)
}

fn told(policy: &Policy, view: LeaseView) -> String {
    match view {
        LeaseView::Held(lease) => {
            format!("held by {}, epoch {}", policy.region_name(lease.holder), lease.epoch)
        }
        LeaseView::Unknown => "nobody can tell who holds it".to_owned(),
        LeaseView::Vacant => "nobody holds it".to_owned(),
        LeaseView::Draining => "being handed over".to_owned(),
        LeaseView::Frozen => "an operator stopped writes".to_owned(),
    }
}

/// The token that a write brought to this region.
fn token(seen: &Seen<'_>) -> Finding {
    let token = seen.before.request_header(header::FENCE);
    let token = token.filter(|_| seen.recorded("from").is_some());
    let came = token.map_or_else(|| "no token".to_owned(), |token| format!("token {token}"));
    let why = match seen.reason {
        Some(Reason::WrongRegion) => "another region holds the lease",
        Some(Reason::FenceMissing) => "none for this lease and shard",
        Some(Reason::FenceStale) => "older than the lease",
        Some(Reason::FenceAhead) => "newer than what this region knows of the lease",
        _ => return Finding::note(came),
    };
    Finding::matched(false, format!("{came}: {why}"))
}

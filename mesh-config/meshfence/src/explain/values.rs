//! The values that a decision depends on: what the client or the sender said and was believed or
//! needed, and what the proxy was asked for.

use super::{Seen, ValueRead};
use guard::header;
use policy_core::{
    Caller, Context, Effect, IdempotencyRule, LeaseView, Method, Reason, Role, Step, SubjectSource,
};

/// Envoy's name of a request header among its attributes.
const HEADERS: &str = "request.headers";

/// What the rules of idempotency look at.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The values in the order of the steps.
pub(super) fn read(seen: &Seen<'_>) -> Vec<ValueRead> {
    let asked = seen.after.asked.iter();
    let mut values: Vec<ValueRead> =
        asked.map(|(path, value)| value_read(path, value.as_deref())).collect();
    values.extend(credentials(seen));
    let headers = [
        (header::VIA, counts_via(seen)),
        (header::SUBJECT, counts_subject(seen)),
        (IDEMPOTENCY_KEY, counts_key(seen)),
        (header::FENCE, counts_fence(seen)),
    ];
    for (name, counts) in headers {
        if counts {
            let found = seen.before.request.iter().find(|(known, _)| known == name);
            let value = found.map(|(_, value)| value.as_slice());
            values.push(value_read(&format!("{HEADERS}.{name}"), value));
        }
    }
    values
}

/// Headers that a client proves with who it is, where that was asked. What they say is worth
/// something, so it is not shown.
fn credentials(seen: &Seen<'_>) -> Vec<ValueRead> {
    let is_asked =
        seen.trace.iter().any(|step| matches!(step, Step::Subject { caller: Some(_), .. }));
    let Some(policy) = seen.guard.policy().filter(|_| is_asked && seen.recorded("from").is_none())
    else {
        return Vec::new();
    };
    let names = policy.subject_sources().iter().filter_map(|source| match source {
        SubjectSource::Session { .. } => Some(header::SESSION),
        SubjectSource::TenantMap(number) => {
            policy.tenant_maps().get(*number).map(|map| &*map.api_key_header)
        }
        SubjectSource::JwtClaim(_) | SubjectSource::Resource(_) => None,
    });
    let came = |name: &&str| seen.before.request.iter().any(|(known, _)| known == name);
    let shown = |name: &str| ValueRead {
        attribute: format!("{HEADERS}.{name}"),
        value: Some("there, and not shown".to_owned()),
    };
    names.filter(came).map(shown).collect()
}

/// Whether the way of a request was looked at: that of one which another region sent.
fn counts_via(seen: &Seen<'_>) -> bool {
    let is_exempt = seen.trace.iter().any(|step| matches!(step, Step::Exempt(_)));
    seen.guard.role() == Some(Role::Peer) && seen.recorded("from").is_some() && !is_exempt
}

/// Whether whom it is about was asked for, and a header told.
fn counts_subject(seen: &Seen<'_>) -> bool {
    let caller = seen.trace.iter().find_map(|step| match step {
        Step::Subject { caller, .. } => *caller,
        _ => None,
    });
    let Some(caller) = caller else { return is_malformed(seen, header::SUBJECT) };
    let by_token = seen.after.asked.iter().any(|(path, _)| path.starts_with("metadata."));
    let by_token = by_token || !credentials(seen).is_empty();
    let is_known = matches!(caller, Caller::Known(_));
    // A workload is believed what was signed for it, which leaves no other trace than this.
    seen.recorded("from").is_some() || (is_known && !by_token)
}

/// Whether a write needed a key, present or not: that is asked before its lease is.
fn counts_key(seen: &Seen<'_>) -> bool {
    let method = seen.before.request_header(":method").unwrap_or_default();
    let repeats =
        matches!(Method::from_bytes(method.as_bytes()), Some(Method::Post | Method::Patch));
    let requires = |context: &Context| context.idempotency_key == IdempotencyRule::Require;
    let is_missing = seen.reason == Some(Reason::IdempotencyKeyMissing);
    let came_so_far = is_missing || lease(seen).is_some();
    came_so_far && repeats && written(seen).is_some_and(requires)
}

/// Whether the token of a write was looked at: that of a trusted sender, where this region holds the
/// lease.
fn counts_fence(seen: &Seen<'_>) -> bool {
    let Some(policy) = seen.guard.policy() else { return false };
    let is_here =
        matches!(lease(seen), Some(LeaseView::Held(lease)) if lease.holder == policy.here());
    let is_believed = seen.recorded("from").is_some();
    let is_looked_at = !policy.role().routes() && is_here && written(seen).is_some();
    (is_looked_at && is_believed) || is_malformed(seen, header::FENCE)
}

/// The context of a write.
fn written<'s>(seen: &Seen<'s>) -> Option<&'s Context> {
    seen.trace.iter().find_map(|step| match step {
        Step::Classified { context, effect: Effect::Write, .. } => Some(*context),
        _ => None,
    })
}

/// What was known of the lease, if one was needed.
fn lease(seen: &Seen<'_>) -> Option<LeaseView> {
    seen.trace.iter().find_map(|step| match step {
        Step::Lease { view, .. } => Some(*view),
        _ => None,
    })
}

fn is_malformed(seen: &Seen<'_>, name: &str) -> bool {
    seen.reason == Some(Reason::Malformed) && seen.recorded("part") == Some(name)
}

fn value_read(path: &str, value: Option<&[u8]>) -> ValueRead {
    let text = |value: &[u8]| match std::str::from_utf8(value) {
        Ok(text) if text.chars().all(|letter| !letter.is_control()) => text.to_owned(),
        _ => value.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    };
    ValueRead { attribute: path.to_owned(), value: value.map(text) }
}

//! What of a response is the mesh's own word, and whether it may stay.

use crate::header;
use crate::host::{Headers, Host};
use crate::metric::Metric;
use crate::record::{self, Draft};
use crate::redaction;
use crate::stream::Passed;
use crate::unreachable;
use policy_core::{Policy, Reason, Role};

/// The refusal of a peer that its sender has to answer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// Whether it is certain that no upstream saw the request.
    pub(crate) unprocessed: bool,
}

/// What is left of a response's words in the name of the mesh.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// The refusal of a peer that its sender has to answer for.
    pub(crate) refusal: Option<Refusal>,
    /// Another guard has redacted it, or it is that guard's own answer: nothing is left to redact.
    pub(crate) is_settled: bool,
    /// Another guard has refused the request, and that is the answer.
    pub(crate) is_refused: bool,
    /// What another guard says of a request that has run.
    pub(crate) remark: Option<Reason>,
    /// Another guard says that it is of a copy which is too far behind, or may be.
    pub(crate) is_stale: bool,
}

/// Takes the words of the mesh from a response that are not the upstream's to say.
///
/// A response that keeps a wrong word because the proxy would not take it is still the response; the
/// caller is told no more by it than by the application itself.
pub(crate) fn clean(
    policy: &Policy,
    passed: &Passed,
    headers: Option<&Headers>,
    record: &mut Option<Draft>,
    host: &mut impl Host,
) -> Cleaned {
    let Some(headers) = headers else {
        let _ = host.remove_response_header(header::REASON.as_bytes());
        let _ = host.remove_response_header(header::PROCESSED.as_bytes());
        return Cleaned::default();
    };
    let words = Words::read(headers);
    if words.names.is_empty() {
        return Cleaned::default();
    }
    let is_guard = words.says_something() && is_guard(policy, passed, host);
    let refusal = words.reason.filter(|_| is_guard);
    let is_redacted = words.redacted && is_guard;
    let is_stale = words.stale && is_guard;
    let is_settled = is_redacted || refusal.is_some();
    if let Some(reason) = refusal {
        host.count(Metric::Refused(reason));
        // The other guard speaks of the one request that it has seen.
        let unprocessed = words.unprocessed && !unreachable::is_another_try(host);
        if policy.role().routes() && reason.is_between_regions() {
            let refusal = Some(Refusal { reason, unprocessed });
            return Cleaned { refusal, is_settled, is_refused: true, remark: None, is_stale };
        }
        if !unprocessed {
            let _ = host.remove_response_header(header::PROCESSED.as_bytes());
        }
        record::amend(record, reason);
    }
    let remark = words.remark.filter(|_| is_guard);
    if let Some(reason) = remark {
        record::amend(record, reason);
    }
    let stays = |name: &[u8]| {
        // The decision is written anew.
        let is_next = name == header::DECISION.as_bytes();
        let is_mark = is_redacted && name == header::REDACTED.as_bytes();
        let is_stale_mark = is_stale && name == header::STALE.as_bytes();
        let is_remark = remark.is_some() && name == header::REASON.as_bytes();
        is_next || is_mark || is_stale_mark || is_remark || (refusal.is_some() && may_stay(name))
    };
    let mut stripped = false;
    for name in words.names.iter().filter(|name| !stays(name)) {
        let _ = host.remove_response_header(name);
        // What another attachment of ours has moved aside is no word of the upstream's.
        stripped |= *name != header::LOCATION_ASIDE.as_bytes();
    }
    if stripped {
        host.count(Metric::UpstreamStripped);
    }
    Cleaned { refusal: None, is_settled, is_refused: refusal.is_some(), remark, is_stale }
}

/// What the headers of a response say in the name of the mesh.
#[derive(Debug)]
struct Words<'h> {
    /// The names of all headers that only the mesh may set, each once.
    names: Vec<&'h [u8]>,
    /// Why another guard refused the request, if it says so.
    reason: Option<Reason>,
    /// What another guard says of a request that has run, if it says so.
    remark: Option<Reason>,
    /// It says that no upstream saw it.
    unprocessed: bool,
    /// It says that it is redacted.
    redacted: bool,
    /// It says that it is of a copy which is too far behind, or may be.
    stale: bool,
}

impl<'h> Words<'h> {
    fn read(headers: &'h Headers) -> Self {
        let mut names: Vec<&[u8]> = Vec::new();
        let (mut reasons, mut status, mut grpc_status) = (Vec::new(), None, None);
        let (mut unprocessed, mut marks, mut stale) = (false, Vec::new(), Vec::new());
        for (name, value) in headers.iter() {
            match name {
                b":status" => status = number(value),
                b"grpc-status" => grpc_status = number(value),
                _ => {}
            }
            if !header::is_ours(name) {
                continue;
            }
            if name == header::REASON.as_bytes() {
                reasons.push(value);
            } else if name == header::PROCESSED.as_bytes() {
                unprocessed = value == b"no";
            } else if name == header::REDACTED.as_bytes() {
                marks.push(value);
            } else if name == header::STALE.as_bytes() {
                stale.push(value);
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let reason = match reasons.as_slice() {
            [one] => core::str::from_utf8(one).ok().and_then(Reason::parse),
            // None, or more than one: which of them would it be?
            _ => None,
        };
        // A refusal has a status that refuses, in one way or the other.
        let refuses = status.is_some_and(|status| status >= 400)
            || grpc_status.is_some_and(|status| status != 0);
        let remark = reason.filter(|reason| reason.is_remark() && !refuses);
        let reason = reason.filter(|reason| !reason.verdict().is_pass() && refuses);
        // What is between regions has the one status of its reason.
        let is_its_own = |reason: &Reason| {
            status == Some(reason.status()) || grpc_status == Some(reason.grpc_status().into())
        };
        Self {
            names,
            remark,
            unprocessed,
            stale: matches!(stale.as_slice(), [b"1"]),
            redacted: matches!(marks.as_slice(), [one] if redaction::is_mark(one)),
            reason: reason.filter(|reason| !reason.is_between_regions() || is_its_own(reason)),
        }
    }

    /// Whether it says what counts if another guard says so.
    fn says_something(&self) -> bool {
        self.reason.is_some() || self.remark.is_some() || self.redacted || self.stale
    }
}

/// Whether another guard of the mesh is behind a response: an application may say what it likes.
fn is_guard(policy: &Policy, passed: &Passed, host: &mut impl Host) -> bool {
    // What is behind a workload's own guard is the workload.
    if policy.role() == Role::Inbound {
        return false;
    }
    let Ok(Some(id)) = host.property(&["upstream", "uri_san_peer_certificate"]) else {
        return false;
    };
    if passed.region == policy.here() {
        policy.has_guard(&id)
    } else {
        policy.peer_region(&id) == Some(passed.region)
    }
}

/// Whether a header of the mesh may stay on the refusal of another guard.
fn may_stay(name: &[u8]) -> bool {
    [header::REASON, header::PROCESSED].iter().any(|known| name == known.as_bytes())
}

fn number(digits: &[u8]) -> Option<u16> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}

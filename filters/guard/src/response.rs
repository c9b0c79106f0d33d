//! What of a response is the mesh's own word, and whether it may stay.

use crate::header;
use crate::host::{Headers, Host};
use crate::metric::Metric;
use crate::record;
use crate::stream::Passed;
use policy_core::{Policy, Reason, Role};

/// Takes the words of the mesh from a response that are not the upstream's to say. Returns the
/// refusal of a peer that its sender has to answer for.
///
/// A response that keeps a wrong word because the proxy would not take it is still the response; the
/// caller is told no more by it than by the application itself.
pub(crate) fn clean(policy: &Policy, passed: &mut Passed, host: &mut impl Host) -> Option<Reason> {
    let Some(headers) = host.response_headers() else {
        let _ = host.remove_response_header(header::REASON.as_bytes());
        let _ = host.remove_response_header(header::PROCESSED.as_bytes());
        return None;
    };
    let words = Words::read(&headers);
    if words.names.is_empty() {
        return None;
    }
    let refusal = words.refusal(policy, passed, host);
    if let Some(reason) = refusal {
        host.count(Metric::Refused(reason));
        if policy.role().routes() && is_between_regions(reason) {
            return Some(reason);
        }
        record::amend(&mut passed.record, reason);
        let _ = host.record(&passed.record);
    }
    let stays = |name: &[u8]| {
        // The decision is written anew.
        let is_next = name == header::DECISION.as_bytes();
        is_next || (refusal.is_some() && may_stay(name))
    };
    let mut stripped = false;
    for name in words.names.iter().filter(|name| !stays(name)) {
        let _ = host.remove_response_header(name);
        stripped = true;
    }
    if stripped {
        host.count(Metric::UpstreamStripped);
    }
    None
}

/// What the headers of a response say in the name of the mesh.
#[derive(Debug)]
struct Words<'h> {
    /// The names of all headers that only the mesh may set, each once.
    names: Vec<&'h [u8]>,
    /// Why another guard refused the request, if it says so.
    reason: Option<Reason>,
}

impl<'h> Words<'h> {
    fn read(headers: &'h Headers) -> Self {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut reason = None;
        for (name, value) in headers.iter().filter(|(name, _)| header::is_ours(name)) {
            if name == header::REASON.as_bytes() {
                reason = core::str::from_utf8(value).ok().and_then(Reason::parse);
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Self { names, reason: reason.filter(|reason| !reason.verdict().is_pass()) }
    }

    /// The refusal of another guard of the mesh, if it is one: an application may say what it likes.
    fn refusal(&self, policy: &Policy, passed: &Passed, host: &mut impl Host) -> Option<Reason> {
        let reason = self.reason?;
        // What is behind a workload's own guard is the workload.
        if policy.role() == Role::Inbound {
            return None;
        }
        let id = host.property(&["upstream", "uri_san_peer_certificate"]).ok()??;
        let is_ours = if passed.region == policy.here() {
            policy.believes(&id)
        } else {
            policy.peer_region(&id) == Some(passed.region)
        };
        is_ours.then_some(reason)
    }
}

/// Whether a header of the mesh may stay on the refusal of another guard.
fn may_stay(name: &[u8]) -> bool {
    [header::REASON, header::PROCESSED].iter().any(|known| name == known.as_bytes())
}

/// Whether a refusal is between regions alone: whoever sent the request there has to answer for it.
fn is_between_regions(reason: Reason) -> bool {
    matches!(reason, Reason::WrongRegion | Reason::FenceMissing | Reason::FenceStale)
}

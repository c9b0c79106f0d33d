//! What of a response is the mesh's own word, and whether it may stay.

use crate::header;
use crate::host::{Headers, Host};
use crate::stream::Passed;
use policy_core::{Policy, Reason, Role};

/// What the headers of a response say in the name of the mesh.
#[derive(Debug)]
pub(crate) struct Words<'h> {
    /// The names of all headers that only the mesh may set, each once.
    pub(crate) names: Vec<&'h [u8]>,
    /// Why another guard refused the request, if it says so.
    reason: Option<Reason>,
}

impl<'h> Words<'h> {
    pub(crate) fn read(headers: &'h Headers) -> Self {
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
    pub(crate) fn refusal(
        &self,
        policy: &Policy,
        passed: &Passed,
        host: &mut impl Host,
    ) -> Option<Reason> {
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
pub(crate) fn may_stay(name: &[u8]) -> bool {
    [header::REASON, header::PROCESSED].iter().any(|known| name == known.as_bytes())
}

/// Whether a refusal is between regions alone: whoever sent the request there has to answer for it.
pub(crate) fn is_between_regions(reason: Reason) -> bool {
    matches!(reason, Reason::WrongRegion | Reason::FenceMissing | Reason::FenceStale)
}

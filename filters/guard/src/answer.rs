//! What a refused caller gets to see.

use crate::header;
use crate::host::{Host, HostFault, Reply};
use crate::stream::{DecisionId, Flow};
use policy_core::{Priority, Reason};

/// A refusal, ready to be answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'p> {
    pub(crate) id: DecisionId,
    pub(crate) status: u16,
    pub(crate) reason: Reason,
    /// The part of the request that is malformed, for that reason.
    pub(crate) part: Option<&'static str>,
    pub(crate) is_grpc: bool,
    /// Of a shed request: the less important, the longer it should stay away.
    pub(crate) priority: Option<Priority>,
    /// Whether it is certain that no upstream saw the request.
    pub(crate) unprocessed: bool,
    /// Who blocks the request by a statute.
    pub(crate) blocked_by: Option<&'p str>,
}

/// What the refusal of a peer is to the caller: not now.
const STATUS_NOT_NOW: u16 = 503;
/// The shortest `Retry-After` of those, in seconds: as for a lease in doubt.
const NOT_NOW_RETRY_S: u64 = 2;
/// The gRPC status that stands for it: UNAVAILABLE.
const GRPC_NOT_NOW: u8 = 14;

impl Answer<'_> {
    /// The plain refusal for a reason; nothing has seen the request.
    pub(crate) fn to(id: DecisionId, reason: Reason) -> Self {
        Self {
            id,
            status: reason.status(),
            reason,
            part: None,
            is_grpc: false,
            priority: None,
            unprocessed: true,
            blocked_by: None,
        }
    }

    /// The refusal of a peer, as its sender passes it on: that the lease is elsewhere or newer is
    /// between regions, and to the caller it means to come again.
    pub(crate) fn not_now(id: DecisionId, reason: Reason) -> Self {
        Self { status: STATUS_NOT_NOW, ..Self::to(id, reason) }
    }

    fn is_not_now(&self) -> bool {
        self.status == STATUS_NOT_NOW && self.reason.status() != STATUS_NOT_NOW
    }

    fn grpc_status(&self) -> u8 {
        if self.is_not_now() { GRPC_NOT_NOW } else { self.reason.grpc_status() }
    }

    /// Gives the answer. If the proxy cannot, the request waits until its timeout: it never goes on.
    pub(crate) fn give(&self, host: &mut impl Host) -> Flow {
        let _ = self.try_give(host);
        Flow::Pause
    }

    /// Gives the answer, if the proxy can.
    pub(crate) fn try_give(&self, host: &mut impl Host) -> Result<(), HostFault> {
        let body = self.body();
        host.reply(&self.reply(&body))
    }

    /// The body: problem details (RFC 9457), or for gRPC the message. Neither says which rule.
    fn body(&self) -> Vec<u8> {
        let Self { id, status, reason, part, .. } = self;
        if self.is_grpc {
            return match part {
                Some(part) => format!("{reason}: {part}"),
                None => reason.to_string(),
            }
            .into_bytes();
        }
        let title = reason.as_str().replace('_', " ");
        let detail = part.map(|part| format!(r#","detail":"{part}""#)).unwrap_or_default();
        format!(
            r#"{{"type":"https://meshfence.dev/problems/{reason}","title":"{title}","status":{status}{detail},"reason":"{reason}","decision":"{id}"}}"#
        )
        .into_bytes()
    }

    /// The answer with this body.
    fn reply<'b>(&self, body: &'b [u8]) -> Reply<'b> {
        let mut headers: Vec<(&'static str, Vec<u8>)> = Vec::with_capacity(7);
        if !self.is_grpc {
            headers.push(("content-type", b"application/problem+json".to_vec()));
        }
        headers.push(("cache-control", b"no-store".to_vec()));
        headers.push((header::REASON, self.reason.as_str().into()));
        headers.push((header::DECISION, self.id.to_string().into_bytes()));
        if self.unprocessed {
            headers.push((header::PROCESSED, b"no".to_vec()));
        }
        if let Some(seconds) = self.retry_after_s() {
            headers.push(("retry-after", seconds.to_string().into_bytes()));
        }
        if let Some(url) = self.blocked_by {
            // RFC 7725 §4: who blocks, not who asks for it.
            headers.push(("link", format!(r#"<{url}>; rel="blocked-by""#).into_bytes()));
        }
        if self.status == 401 {
            headers.push(("www-authenticate", b"Bearer".to_vec()));
        }
        Reply {
            status: self.status,
            grpc_status: self.is_grpc.then_some(self.grpc_status()),
            headers,
            body,
            details: self.reason.as_str(),
        }
    }

    /// Seconds, spread so that those who were refused together do not come back together: 2 to 5
    /// for a lease or region in doubt, half to one and a half of the priority's base for a shed.
    fn retry_after_s(&self) -> Option<u64> {
        let spread = self.id.spread();
        if let Some(priority) = self.priority {
            let base: u64 = match priority {
                Priority::Critical => 1,
                Priority::High => 2,
                Priority::Normal => 5,
                Priority::Low => 30,
            };
            return Some(
                (base / 2).max(1).saturating_add(spread.checked_rem(base.saturating_add(1))?),
            );
        }
        match u64::from(self.reason.retry_after_s()) {
            0 if self.is_not_now() => Some(NOT_NOW_RETRY_S.saturating_add(spread % 4)),
            0 => None,
            base => Some(base.saturating_add(spread % 4)),
        }
    }
}

//! What a refused caller gets to see.

use crate::header;
use crate::host::{Host, HostFault, Reply};
use crate::stream::{DecisionId, Flow};
use policy_core::Reason;
use std::borrow::Cow;

/// A refusal, ready to be answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'p> {
    pub(crate) id: DecisionId,
    pub(crate) status: u16,
    pub(crate) reason: Reason,
    /// The part of the request that is malformed, for that reason.
    pub(crate) part: Option<&'static str>,
    pub(crate) is_grpc: bool,
    /// When to come again, in seconds, where that is not for the reason to say.
    pub(crate) retry_after_s: Option<u32>,
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
            retry_after_s: None,
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
        let id = self.id.to_string();
        let body = self.body(&id);
        host.reply(&self.reply(id, &body))
    }

    /// The body: problem details (RFC 9457), or for gRPC the message. Neither says which rule.
    ///
    /// Put together from its parts: formats would be a good part of what a shed request costs.
    fn body(&self, id: &str) -> Vec<u8> {
        let (reason, part) = (self.reason.as_str(), self.part);
        if self.is_grpc {
            return match part {
                Some(part) => [reason, ": ", part].concat(),
                None => reason.to_owned(),
            }
            .into_bytes();
        }
        let title: Vec<u8> =
            reason.bytes().map(|byte| if byte == b'_' { b' ' } else { byte }).collect();
        let status = self.status.to_string();
        let (detail, end) = if part.is_some() { (r#","detail":""#, "\"") } else { ("", "") };
        [
            br#"{"type":"https://meshfence.dev/problems/"#,
            reason.as_bytes(),
            br#"","title":""#,
            &title,
            br#"","status":"#,
            status.as_bytes(),
            detail.as_bytes(),
            part.unwrap_or_default().as_bytes(),
            end.as_bytes(),
            br#","reason":""#,
            reason.as_bytes(),
            br#"","decision":""#,
            id.as_bytes(),
            br#""}"#,
        ]
        .concat()
    }

    /// The answer with this body.
    fn reply<'b>(&self, id: String, body: &'b [u8]) -> Reply<'b> {
        let said = |text: &'static str| Cow::Borrowed(text.as_bytes());
        let written = |text: String| Cow::Owned(text.into_bytes());
        let mut headers: Vec<(&'static str, Cow<'static, [u8]>)> = Vec::with_capacity(8);
        if !self.is_grpc {
            headers.push(("content-type", said("application/problem+json")));
        }
        headers.push(("cache-control", said("no-store")));
        headers.push((header::REASON, said(self.reason.as_str())));
        headers.push((header::DECISION, written(id)));
        if self.unprocessed {
            headers.push((header::PROCESSED, said("no")));
        }
        if let Some(seconds) = self.retry_after_s() {
            headers.push(("retry-after", written(seconds.to_string())));
        }
        if let Some(url) = self.blocked_by {
            // RFC 7725 §4: who blocks, not who asks for it.
            headers.push(("link", written(format!(r#"<{url}>; rel="blocked-by""#))));
        }
        if self.status == 401 {
            headers.push(("www-authenticate", said("Bearer")));
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
    /// for a lease or region in doubt, and for a shed request what the shedding says.
    fn retry_after_s(&self) -> Option<u64> {
        if let Some(seconds) = self.retry_after_s {
            return Some(seconds.into());
        }
        let spread = self.id.spread();
        match u64::from(self.reason.retry_after_s()) {
            0 if self.is_not_now() => Some(NOT_NOW_RETRY_S.saturating_add(spread % 4)),
            0 => None,
            base => Some(base.saturating_add(spread % 4)),
        }
    }
}

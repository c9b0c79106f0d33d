//! One more try for a leased write that a peer has refused because it is not the peer's: decided again,
//! by region state that was asked for since.
//!
//! ```text
//! first pass ─► peer: 421 ─► upstream filter: 307 ─► router ─► second pass ─► wait for region state ─► decide
//! ```
//!
//! A filter cannot send a request again once there is a response. The router can, for a redirect, and
//! runs all filters anew; so an attachment of the root [`ROOT`] on the cluster of a peer makes one of
//! the peer's 421. What the first pass went by is in filter state, where no client can write.

use crate::guard::InForce;
use crate::header;
use crate::host::{Headers, Host, HostFault};
use crate::regional::TICK_MS;
use crate::stream::Flow;
use policy_core::{Decision, Policy, Reason, Verdict};
use std::cell::Cell;

pub use policy_core::name::{PROPERTY_PASS, ROOT_REROUTE as ROOT};

/// How long a second pass waits for region state at most, in milliseconds.
const WAIT_MS: u64 = 3_000;
const STATUS_NOT_NOW: u16 = 503;

/// A request that waits for region state.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) first: FirstPass,
    pub(crate) end_of_stream: bool,
    since_ms: u64,
    /// Since when region state is known that was asked for since.
    fresh_ms: Cell<Option<u64>>,
}

/// What the first pass of a request went by: the token that a peer has refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FirstPass(Vec<u8>);

/// What is known now of a request that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It goes on waiting.
    Longer,
    /// Region state has been asked for since, or nobody can be asked, or it took too long: what is
    /// believed now has to do.
    Over,
}

impl Waiting {
    pub(crate) fn new(first: FirstPass, end_of_stream: bool, since_ms: u64) -> Self {
        Self { first, end_of_stream, since_ms, fresh_ms: Cell::new(None) }
    }

    pub(crate) fn wait(&self, force: &InForce, now_ms: Option<u64>) -> Wait {
        let Some(now_ms) = now_ms else { return Wait::Over };
        if force.asked_ms().is_some_and(|asked_ms| asked_ms > self.since_ms) {
            self.fresh_ms.set(self.fresh_ms.get().or(Some(now_ms)));
        }
        let end_ms = self.since_ms.saturating_add(WAIT_MS);
        let end_ms = match self.fresh_ms.get() {
            // The guard before the application may be in another VM, which has to hear of it too.
            Some(fresh_ms) => fresh_ms.saturating_add(u64::from(TICK_MS)).min(end_ms),
            None => end_ms,
        };
        if now_ms >= end_ms { Wait::Over } else { Wait::Longer }
    }
}

impl FirstPass {
    /// That of the request at hand, if this is its second.
    ///
    /// # Errors
    /// The proxy did not say.
    pub(crate) fn of(policy: &Policy, host: &mut impl Host) -> Result<Option<Self>, HostFault> {
        if !policy.reroutes() {
            return Ok(None);
        }
        let token = host.property(&[PROPERTY_PASS])?;
        Ok(token.filter(|token| !token.is_empty()).map(Self))
    }

    /// Whether a decision would only repeat it.
    pub(crate) fn is_repeated(&self, policy: &Policy, decision: &Decision<'_>) -> bool {
        token(policy, decision).is_none_or(|token| token.as_bytes() == self.0)
    }
}

/// A decision that would only repeat the first: not now, and nothing has happened.
pub(crate) fn give_up(decision: &mut Decision<'_>) {
    if decision.verdict().is_pass() {
        decision.reason = Reason::WrongRegion;
        decision.status = STATUS_NOT_NOW;
        decision.exception = None;
    }
}

fn token(policy: &Policy, decision: &Decision<'_>) -> Option<String> {
    let fence = decision.fence?;
    Some(fencing::token(&fence, policy.region_name(fence.holder)))
}

/// Notes what a request goes by that is sent to the holder of its lease, so that there can be a second
/// pass. There is none where the other region does not get all that the request came with.
///
/// # Errors
/// The proxy did not note it.
pub(crate) fn prepare(
    policy: &Policy,
    decision: &Decision<'_>,
    is_whole: bool,
    host: &mut impl Host,
) -> Result<(), HostFault> {
    if !policy.reroutes() || decision.verdict() != Verdict::Route || !is_whole {
        return Ok(());
    }
    let Some(token) = token(policy, decision) else { return Ok(()) };
    host.note_pass(token.as_bytes())?;
    host.set_request_header(header::REROUTE, b"1")
}

/// A request on its way to a peer, as the attachment on the peer's cluster sees it.
#[derive(Debug, Default)]
pub struct Upstream {
    /// Where it would have to go again, if it may.
    again: Option<Vec<u8>>,
}

impl Upstream {
    /// Sees a request leave.
    pub fn on_request_headers(&mut self, host: &mut impl Host) -> Flow {
        let Some(headers) = host.request_headers() else { return Flow::Continue };
        if headers.first(header::REROUTE.as_bytes()).is_none() {
            return Flow::Continue;
        }
        // A peer that gets to see it drops it.
        let _ = host.remove_request_header(header::REROUTE.as_bytes());
        if let (Some(scheme), Some(authority), Some(path)) =
            (headers.first(b":scheme"), headers.first(b":authority"), headers.first(b":path"))
        {
            self.again = Some([scheme, b"://", authority, path].concat());
        }
        Flow::Continue
    }

    /// Sees a response come back: a peer's word that the request is not its own becomes a redirect to
    /// where it came from. A redirect of the application itself is not the router's to follow: its
    /// place is moved aside, and the guard moves it back.
    pub fn on_response_headers(&mut self, host: &mut impl Host) -> Flow {
        let Some(again) = self.again.take() else { return Flow::Continue };
        let Some(headers) = host.response_headers() else { return Flow::Continue };
        if is_wrong_region(&headers) {
            let set = host.set_response_header(":status", b"307");
            let _ = set.and_then(|()| host.set_response_header(header::LOCATION, &again));
        } else if is_redirect(&headers)
            && let Some(place) = headers.only(header::LOCATION.as_bytes())
            && host.set_response_header(header::LOCATION_ASIDE, place).is_ok()
        {
            let _ = host.remove_response_header(header::LOCATION.as_bytes());
        }
        Flow::Continue
    }
}

fn is_redirect(headers: &Headers) -> bool {
    headers.first(b":status") == Some(b"307")
}

fn is_wrong_region(headers: &Headers) -> bool {
    let reason = headers.only(header::REASON.as_bytes());
    headers.first(b":status") == Some(b"421")
        && reason == Some(Reason::WrongRegion.as_str().as_bytes())
}

/// Moves the place of an application's own redirect back, of a response that has come from a peer.
pub(crate) fn restore(policy: &Policy, headers: Option<&Headers>, host: &mut impl Host) {
    let Some(headers) = headers.filter(|headers| policy.reroutes() && is_redirect(headers)) else {
        return;
    };
    if let Some(place) = headers.first(header::LOCATION_ASIDE.as_bytes()) {
        let _ = host.set_response_header(header::LOCATION, place);
    }
}

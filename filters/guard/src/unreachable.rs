//! Whether a response is Envoy's own word that the region could not be reached.

use crate::host::Host;

/// Bits of `response.flags` (Envoy's access log response flags).
const NO_HEALTHY_UPSTREAM: u64 = 1 << 1;
const UPSTREAM_REQUEST_TIMEOUT: u64 = 1 << 2;
const LOCAL_RESET: u64 = 1 << 3;
const UPSTREAM_REMOTE_RESET: u64 = 1 << 4;
const UPSTREAM_CONNECTION_FAILURE: u64 = 1 << 5;
const UPSTREAM_CONNECTION_TERMINATION: u64 = 1 << 6;
const NO_ROUTE_FOUND: u64 = 1 << 8;
const NO_CLUSTER_FOUND: u64 = 1 << 24;

const NEVER_SENT: u64 =
    NO_HEALTHY_UPSTREAM | UPSTREAM_CONNECTION_FAILURE | NO_ROUTE_FOUND | NO_CLUSTER_FOUND;
const PERHAPS_SENT: u64 = LOCAL_RESET | UPSTREAM_REMOTE_RESET | UPSTREAM_CONNECTION_TERMINATION;

/// How a region could not be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreachable {
    /// No upstream saw the request.
    NeverSent,
    /// The connection broke before a response, or this was not the first try: whether the request
    /// ran is not known.
    PerhapsSent,
}

/// Reads the flags of the response at hand; an upstream's own answer has none of these. Another
/// region that does not answer in time is as good as gone; an upstream here that does not is slow.
pub(crate) fn of(host: &mut impl Host, is_elsewhere: bool) -> Option<Unreachable> {
    let flags = host.property(&["response", "flags"]).ok()??;
    let flags = u64::from_le_bytes(flags.try_into().ok()?);
    let timed_out = is_elsewhere && flags & UPSTREAM_REQUEST_TIMEOUT != 0;
    if flags & PERHAPS_SENT != 0 || timed_out {
        Some(Unreachable::PerhapsSent)
    } else if flags & NEVER_SENT == 0 {
        None
    } else if is_another_try(host) {
        Some(Unreachable::PerhapsSent)
    } else {
        Some(Unreachable::NeverSent)
    }
}

/// Whether the proxy has tried before, as a route with retries lets it: what the last try came to
/// says nothing of the first, which may have run. A number that cannot be read may be any.
pub(crate) fn is_another_try(host: &mut impl Host) -> bool {
    let attempts = host.property(&["upstream", "request_attempt_count"]).ok().flatten();
    let attempts = attempts.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    attempts.is_none_or(|attempts| attempts > 1)
}

//! Every header that the guard reads, writes or removes.

pub use policy_core::name::{
    HEADER_DECISION as DECISION, HEADER_PREFIX as PREFIX, HEADER_ROUTE as ROUTE,
};

/// The subject: countries, `unknown` or `other`, and what else is known of the caller.
pub const SUBJECT: &str = "x-meshfence-subject";
/// The client's: a session that a key of the mesh has signed.
pub const SESSION: &str = "meshfence-session";
/// What the guard before a workload has signed for the guard behind it.
pub const SIG: &str = "x-meshfence-sig";
/// The regions that a request has passed.
pub const VIA: &str = "x-meshfence-via";
/// The fencing token.
pub const FENCE: &str = "x-meshfence-fence";
/// The epoch as a plain integer, for the datastore's check.
pub const EPOCH: &str = "x-meshfence-epoch";
/// The client's: the token of a lock that it holds.
pub const CLIENT_LOCK: &str = "meshfence-lock";
/// The token of the lock that a write of a locked context is made under, as its client has it.
pub const LOCK: &str = "x-meshfence-lock";
/// The consistency of a leased write's context.
pub const CONSISTENCY: &str = "x-meshfence-consistency";
/// The entry region of a write.
pub const ORIGIN: &str = "x-meshfence-origin";
/// The version of a write.
pub const VERSION: &str = "x-meshfence-version";
/// The version comes from a clock that is too far off.
pub const UNSYNCED: &str = "x-meshfence-unsynced";
/// The version that the writer of an eventual write has read.
pub const BASE: &str = "x-meshfence-base";
/// Request: the version vector of an eventual write whose writer has said what it has read. Response:
/// that of what the upstream held.
pub const VV: &str = "x-meshfence-vv";
/// How an eventual write is in conflict with another one.
pub const CONFLICT: &str = "x-meshfence-conflict";
/// Response: the version that the upstream held when the request came.
pub const CURRENT: &str = "x-meshfence-current";
/// How what is kept in several regions becomes one.
pub const MERGE: &str = "x-meshfence-merge";
/// The client's: the newest version that it has seen.
pub const CAUSAL: &str = "meshfence-causal";
/// The client's: what it has read of what it writes.
pub const IF_MATCH: &str = "if-match";
/// Response: what was read.
pub const ETAG: &str = "etag";
/// What applications pass on with a trace (W3C Baggage).
pub const BAGGAGE: &str = "baggage";
/// What is left of the caller's deadline, in milliseconds.
pub const DEADLINE_MS: &str = "x-meshfence-deadline-ms";

/// How much the application should leave out, 1 to 4: there is more to do than can be done.
pub const DEGRADE: &str = "x-meshfence-degrade";

/// Request and response: `1` where a read is served by a copy that is too far behind, or may be.
pub const STALE: &str = "x-meshfence-stale";

/// Request, to the attachment on a peer's cluster alone: it may have a second pass.
pub const REROUTE: &str = "x-meshfence-reroute";
/// Response, from that attachment alone: the place of an application's own redirect.
pub const LOCATION_ASIDE: &str = "x-meshfence-location";
/// Response: the place of a redirect.
pub const LOCATION: &str = "location";

/// Response: why the request was refused.
pub const REASON: &str = "x-meshfence-reason";
/// Response: `no` if the upstream never saw the request.
pub const PROCESSED: &str = "x-meshfence-processed";

/// Response: how many values of it were redacted; `yes` where that was not known in time.
pub const REDACTED: &str = "x-meshfence-redacted";

/// Response: the regions that have acknowledged a write.
pub const ACKS: &str = "x-meshfence-acks";
/// Response: the class of its data, as its upstream has it.
pub const DATA_CLASS: &str = "x-meshfence-data-class";

/// Response: how loaded the upstream is, as a share of what it can do.
pub const LOAD: &str = "x-meshfence-load";
/// Response: the same in the words of ORCA.
pub const ORCA: &str = "endpoint-load-metrics";

/// Response headers that upstreams have a word in: the version they hold, version vectors,
/// conflicts, acknowledgements, the data's class, load reports.
pub const FROM_UPSTREAMS: [&str; 6] = [CURRENT, VV, CONFLICT, ACKS, DATA_CLASS, LOAD];

/// How urgent a client's request is (RFC 9218).
pub const PRIORITY: &str = "priority";
/// Whether a browser fetches something before anybody wants it (Fetch).
pub const SEC_PURPOSE: &str = "sec-purpose";
/// How often a gRPC client has tried before (gRFC A6).
pub const GRPC_ATTEMPTS: &str = "grpc-previous-rpc-attempts";
/// Which try of the router before this proxy a request is.
pub const ENVOY_ATTEMPT_COUNT: &str = "x-envoy-attempt-count";
/// How long that router waits, in milliseconds.
pub const ENVOY_EXPECTED_TIMEOUT: &str = "x-envoy-expected-rq-timeout-ms";
/// Switches off a route's retries (read by Envoy's router).
pub const ENVOY_MAX_RETRIES: &str = "x-envoy-max-retries";

/// Headers that change how some server reads a request behind the proxy's back.
const OVERRIDES: &[&str] = &[
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-rewrite-url",
];

/// The header that Envoy itself sets anew on every request that enters by an edge.
const SET_BY_ENVOY: &str = "x-envoy-external-address";

/// Whether a header from outside must not get past the edge, whatever it says. Some servers read
/// `_` as `-`, so neither helps a name to hide.
pub fn is_reserved(name: &[u8]) -> bool {
    let is = |known: &str| same(name, known.as_bytes());
    if starts_with(name, PREFIX) || OVERRIDES.iter().copied().any(is) {
        return true;
    }
    is_of_envoy(name)
}

/// Whether a header is one that Envoys tell each other.
pub fn is_of_envoy(name: &[u8]) -> bool {
    starts_with(name, "x-envoy-") && name != SET_BY_ENVOY.as_bytes()
}

/// Whether a response header of an upstream is not the upstream's to set.
pub fn is_ours(name: &[u8]) -> bool {
    starts_with(name, PREFIX) && !FROM_UPSTREAMS.iter().any(|known| name == known.as_bytes())
}

/// Whether a name begins like this, however it is spelled.
pub(crate) fn starts_with(name: &[u8], prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| same(start, prefix.as_bytes()))
}

fn same(name: &[u8], known: &[u8]) -> bool {
    let folded = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == known.len() && name.iter().map(folded).eq(known.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_cannot_hide() {
        for (name, reserved) in [
            ("x-meshfence-route", true),
            ("x-meshfence-", true),
            ("X-Meshfence-Epoch", true),
            ("x_meshfence_route", true),
            ("x-meshfence_fence", true),
            ("x-envoy-retry-on", true),
            ("x-envoy-max-retries", true),
            ("x-http-method-override", true),
            ("x-original-url", true),
            ("x-rewrite-url", true),
            ("x-envoy-internal", true),
            ("x-envoy-external-address", false),
            ("x_envoy_external_address", true),
            ("x-meshfence", false),
            ("meshfence-session", false),
            ("authorization", false),
            ("", false),
        ] {
            assert_eq!(is_reserved(name.as_bytes()), reserved, "{name}");
        }
        assert!(!is_reserved(b"\xff\xfe"));
    }
}

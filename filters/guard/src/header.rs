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
/// The consistency of a leased write's context.
pub const CONSISTENCY: &str = "x-meshfence-consistency";
/// The entry region of a write.
pub const ORIGIN: &str = "x-meshfence-origin";
/// The version of a write.
pub const VERSION: &str = "x-meshfence-version";
/// The version comes from a clock that is too far off.
pub const UNSYNCED: &str = "x-meshfence-unsynced";
/// What is left of the caller's deadline, in milliseconds.
pub const DEADLINE_MS: &str = "x-meshfence-deadline-ms";

/// Response: why the request was refused.
pub const REASON: &str = "x-meshfence-reason";
/// Response: `no` if the upstream never saw the request.
pub const PROCESSED: &str = "x-meshfence-processed";

/// Response: how many values of it were redacted; `yes` where that was not known in time.
pub const REDACTED: &str = "x-meshfence-redacted";

/// Response: the class of its data, as its upstream has it.
pub const DATA_CLASS: &str = "x-meshfence-data-class";

/// Response headers that upstreams have a word in: the version they hold, version vectors,
/// conflicts, acknowledgements, the data's class, load reports.
pub const FROM_UPSTREAMS: [&str; 6] = [
    "x-meshfence-current",
    "x-meshfence-vv",
    "x-meshfence-conflict",
    "x-meshfence-acks",
    DATA_CLASS,
    "x-meshfence-load",
];

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

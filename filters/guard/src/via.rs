//! The regions that a request has passed.

/// More regions than this are one detour too many.
const HOPS_MAX: usize = 2;

/// A request that has been here before, or in too many regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loop;

/// What `x-meshfence-via` says once a request has passed this region. `trusted` is what it said
/// when a trusted region sent the request; an untrusted caller has passed no region.
pub(crate) fn pass(trusted: Option<&[u8]>, here: &str) -> Result<Vec<u8>, Loop> {
    let mut via = Vec::with_capacity(64);
    let mut hops: usize = 1;
    let members = trusted.unwrap_or_default().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    for region in members.filter(|region| !region.is_empty()) {
        hops = hops.saturating_add(1);
        if region == here.as_bytes() || hops > HOPS_MAX {
            return Err(Loop);
        }
        via.extend_from_slice(region);
        via.extend_from_slice(b", ");
    }
    via.extend_from_slice(here.as_bytes());
    Ok(via)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_passed_once_and_two_at_most() {
        for (trusted, passed) in [
            (None, Ok("taiwan")),
            (Some(""), Ok("taiwan")),
            (Some("tokyo"), Ok("tokyo, taiwan")),
            (Some("taiwan"), Err(Loop)),
            (Some("tokyo, taiwan"), Err(Loop)),
            (Some("tokyo,osaka"), Err(Loop)),
        ] {
            let found = pass(trusted.map(str::as_bytes), "taiwan");
            assert_eq!(found, passed.map(|via| via.as_bytes().to_vec()), "{trusted:?}");
        }
    }
}

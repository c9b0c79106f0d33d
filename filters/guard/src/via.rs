//! The regions that a request has passed.

/// More regions than this, the one it is in included, are one detour too many.
const HOPS_MAX: usize = 2;

/// Whether a request has been here before, or in too many regions. `passed` is what
/// `x-meshfence-via` said when a trusted region sent the request; an untrusted caller has passed no
/// region, whatever it says.
pub(crate) fn is_loop(passed: Option<&[u8]>, here: &str) -> bool {
    let been_here = regions(passed).any(|region| region == here.as_bytes());
    been_here || regions(passed).count() >= HOPS_MAX
}

/// What `x-meshfence-via` says once the request leaves this region for another.
pub(crate) fn with(passed: Option<&[u8]>, here: &str) -> Vec<u8> {
    let mut via = Vec::with_capacity(64);
    for region in regions(passed) {
        via.extend_from_slice(region);
        via.extend_from_slice(b", ");
    }
    via.extend_from_slice(here.as_bytes());
    via
}

fn regions(passed: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
    let members = passed.unwrap_or_default().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    members.filter(|region| !region.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_passed_once_and_two_at_most() {
        for (passed, is_loop_here, via) in [
            (None, false, "taiwan"),
            (Some(""), false, "taiwan"),
            (Some("tokyo"), false, "tokyo, taiwan"),
            (Some("taiwan"), true, "taiwan, taiwan"),
            (Some("tokyo, taiwan"), true, "tokyo, taiwan, taiwan"),
            (Some("tokyo,osaka"), true, "tokyo, osaka, taiwan"),
        ] {
            let passed = passed.map(str::as_bytes);
            assert_eq!(is_loop(passed, "taiwan"), is_loop_here, "{passed:?}");
            assert_eq!(with(passed, "taiwan"), via.as_bytes(), "{passed:?}");
        }
    }
}

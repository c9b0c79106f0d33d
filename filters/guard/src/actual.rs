//! Where a request really went, by what the proxy says of its upstream when the stream ends.

use crate::host::Host;
use policy_core::{Policy, RegionId};

/// What endpoints say of themselves where their locality says nothing.
const METADATA: [&str; 5] =
    ["xds", "upstream_host_metadata", "filter_metadata", "meshfence", "region"];

/// Where a request really went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actual {
    /// To no upstream: the proxy answered itself.
    Nowhere,
    /// To an upstream that is in this region.
    Region(RegionId),
    /// To an upstream that nothing says the region of.
    Unknown,
}

/// Where the request at hand really went.
pub(crate) fn of(policy: &Policy, host: &mut impl Host) -> Actual {
    let mut region = |path: &[&str]| {
        let name = host.property(path).ok().flatten()?;
        policy.region_at(&name)
    };
    let known = region(&["upstream", "locality", "region"]).or_else(|| region(&METADATA));
    if let Some(region) = known {
        return Actual::Region(region);
    }
    match host.property(&["upstream", "address"]) {
        Ok(None) => Actual::Nowhere,
        Ok(Some(_)) | Err(_) => Actual::Unknown,
    }
}

//! The regions that a request has passed.

use policy_core::{Policy, RegionId};

/// A request that has passed more regions than this is one detour too many.
const HOPS_MAX: usize = 2;

/// The regions that a request has passed, in their order, as far as they matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Via {
    /// One more than may be passed, so that one too many is seen.
    regions: [Option<RegionId>; HOPS_MAX + 1],
}

impl Via {
    /// Reads what `x-meshfence-via` of a trusted sender says; none if it names what is no region.
    pub(crate) fn parse(policy: &Policy, value: &[u8]) -> Option<Self> {
        let mut via = Self::default();
        let members = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        for (member, slot) in members.zip(&mut via.regions) {
            *slot = Some(policy.region(core::str::from_utf8(member).ok()?)?);
        }
        Some(via)
    }

    /// Whether the request has been here before, in one region twice, or in too many.
    pub(crate) fn is_loop(self, here: RegionId) -> bool {
        let mut passed = self.iter();
        while let Some(region) = passed.next() {
            if region == here || passed.clone().any(|later| later == region) {
                return true;
            }
        }
        self.iter().count() > HOPS_MAX
    }

    /// The region that the request entered the mesh in.
    pub(crate) fn first(self) -> Option<RegionId> {
        self.iter().next()
    }

    /// The region that sent the request.
    pub(crate) fn last(self) -> Option<RegionId> {
        self.iter().last()
    }

    /// What `x-meshfence-via` says once the request leaves this region for another.
    pub(crate) fn with(self, policy: &Policy, here: RegionId) -> String {
        let mut via = String::with_capacity(64);
        for region in self.iter() {
            via.push_str(policy.region_name(region));
            via.push_str(", ");
        }
        via.push_str(policy.region_name(here));
        via
    }

    fn iter(self) -> impl Iterator<Item = RegionId> + Clone {
        self.regions.into_iter().map_while(|region| region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_core::wire::{PluginConfig, Region};

    /// The regions `taiwan`, `tokyo`, `osaka`, `seoul`.
    fn policy() -> Policy {
        let shop = include_str!("../../../policies/policy-core/fixtures/shop.json");
        let mut config = PluginConfig::from_json(shop.as_bytes()).unwrap();
        for (name, code) in [("osaka", "osa"), ("seoul", "sel")] {
            config.policy.regions.push(Region {
                name: name.into(),
                code: code.into(),
                jurisdiction: "JP".into(),
                locality: None,
                peer_ids: vec![format!("spiffe://{name}.shop/ns/gateways/sa/peer")],
                gateway_ids: Vec::new(),
                workload_ids: Vec::new(),
            });
        }
        Policy::compile(&config).unwrap()
    }

    #[test]
    fn a_region_is_passed_once_and_two_at_most() {
        let policy = policy();
        let here = policy.here();
        for (value, is_loop, with) in [
            ("tokyo", false, "tokyo, taiwan"),
            ("tokyo,osaka", false, "tokyo, osaka, taiwan"),
            ("taiwan", true, "taiwan, taiwan"),
            ("tokyo, taiwan", true, "tokyo, taiwan, taiwan"),
            ("tokyo, tokyo", true, "tokyo, tokyo, taiwan"),
            ("tokyo, osaka, seoul", true, "tokyo, osaka, seoul, taiwan"),
        ] {
            let via = Via::parse(&policy, value.as_bytes()).unwrap();
            assert_eq!(via.is_loop(here), is_loop, "{value}");
            assert_eq!(via.with(&policy, here), with, "{value}");
        }
        let nowhere = Via::default();
        assert!(!nowhere.is_loop(here));
        assert_eq!(nowhere.last(), None);
        assert_eq!(nowhere.with(&policy, here), "taiwan");
    }

    #[test]
    fn what_is_no_region_is_no_via() {
        for value in ["", ",", "tokyo,", "paris", "tokyo;q=1", "TOKYO", "tokyo osaka"] {
            assert_eq!(Via::parse(&policy(), value.as_bytes()), None, "{value}");
        }
    }
}

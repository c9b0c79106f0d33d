//! Which regions have acknowledged a quorum write, and whether they are enough.

use policy_core::wire::Acks;
use policy_core::{Policy, RegionSet};

/// A longer list of regions is none.
const ACKS_LEN_MAX: usize = 1_024;

/// The regions that `x-meshfence-acks` names: names of regions with spaces or commas between them.
/// What is no region of the policy acknowledges nothing, and a region does so once.
pub fn acknowledged(policy: &Policy, value: &[u8]) -> RegionSet {
    if value.len() > ACKS_LEN_MAX {
        return RegionSet::EMPTY;
    }
    let names = value.split(|byte| matches!(byte, b' ' | b',' | b'\t'));
    names.filter_map(|name| policy.region(core::str::from_utf8(name).ok()?)).collect()
}

/// Whether these regions are fewer than a write needs; `is_peer_down` is whether region state says
/// of any region that it does not serve.
pub fn are_too_few(acks: Acks, acknowledged: RegionSet, is_peer_down: bool) -> bool {
    let required = match acks.when_peer_down {
        Some(fewer) if is_peer_down => fewer,
        _ => acks.required,
    };
    acknowledged.len() < u32::from(required)
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_core::wire::PluginConfig;

    #[test]
    fn regions_acknowledge_once() {
        let shop = include_str!("../../../policies/policy-core/fixtures/shop.json");
        let policy = Policy::compile(&PluginConfig::from_json(shop.as_bytes()).unwrap()).unwrap();
        let both = Acks { required: 2, when_peer_down: Some(1) };
        let always = Acks { required: 2, when_peer_down: None };
        for (value, count, too_few) in [
            ("taiwan tokyo", 2, [false, false, false]),
            ("tokyo,taiwan", 2, [false, false, false]),
            ("  taiwan ,\ttokyo ", 2, [false, false, false]),
            ("taiwan", 1, [true, false, true]),
            ("taiwan taiwan", 1, [true, false, true]),
            ("taiwan osaka", 1, [true, false, true]),
            ("Taiwan", 0, [true, true, true]),
            ("", 0, [true, true, true]),
            ("2", 0, [true, true, true]),
        ] {
            let found = acknowledged(&policy, value.as_bytes());
            assert_eq!(found.len(), count, "{value}");
            let told = [
                are_too_few(both, found, false),
                are_too_few(both, found, true),
                are_too_few(always, found, true),
            ];
            assert_eq!(told, too_few, "{value}");
        }
        assert!(acknowledged(&policy, &b"taiwan ".repeat(200)).is_empty());
        assert!(acknowledged(&policy, b"\xff\xfe").is_empty());
    }
}

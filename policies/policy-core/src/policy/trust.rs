//! Who is believed: the ids of the regions' gateways, and the keys that proxies sign with.

use super::compile::fault;
use crate::name::SECRET_PREFIX;
use crate::region::RegionId;
use crate::spiffe::SpiffeId;
use crate::wire::{self, ConfigFault};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

const IDS_MAX: usize = 1000;
const KEY_ID_MAX: usize = 16;
const ENV_MAX: usize = 128;

/// Whom a proxy believes.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    peers: Ids,
    gateways: Ids,
    workloads: Ids,
    hmac: Option<Hmac>,
}

/// Ids in order, each with its region.
type Ids = Box<[(Box<[u8]>, RegionId)]>;

/// The keys that proxies sign with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hmac {
    /// The first one signs, all of them verify; at least one.
    pub keys: Box<[HmacKey]>,
    /// For how long a signature is believed, in milliseconds.
    pub replay_window_ms: u32,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HmacKey {
    /// What signatures call it.
    pub id: Box<str>,
    /// The variable of the VM's environment that has the secret.
    pub env: Box<str>,
}

impl Hmac {
    /// How many keys there may be.
    pub const KEYS_MAX: usize = 4;
    /// For how long a signature may be believed.
    pub const REPLAY_WINDOW_MS: core::ops::RangeInclusive<u32> = 1_000..=300_000;
}

impl HmacKey {
    /// Whether signatures can call a key this: `[a-z0-9]{1,16}`.
    pub fn is_id(id: &str) -> bool {
        (1..=KEY_ID_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    }

    /// Whether a secret can be in a variable of this name: `MESHFENCE_[A-Z0-9_]+`. Other variables
    /// may hold what somebody else knows.
    pub fn is_env(name: &str) -> bool {
        let is_part = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        let own = name.strip_prefix(SECRET_PREFIX).unwrap_or_default();
        name.len() <= ENV_MAX && !own.is_empty() && own.bytes().all(is_part)
    }
}

impl Trust {
    pub(super) fn compile(body: &wire::PolicyBody) -> Result<Self, ConfigFault> {
        let mut domains = BTreeMap::new();
        Ok(Self {
            peers: compile_ids(body, "peerIds", |region| &region.peer_ids, &mut domains)?,
            gateways: compile_ids(body, "gatewayIds", |region| &region.gateway_ids, &mut domains)?,
            workloads: compile_ids(
                body,
                "workloadIds",
                |region| &region.workload_ids,
                &mut domains,
            )?,
            hmac: body.hmac.as_ref().map(compile_hmac).transpose()?,
        })
    }

    /// The region that this id may speak for at another region's east-west gateway.
    pub(crate) fn peer_region(&self, id: &[u8]) -> Option<RegionId> {
        find(&self.peers, id)
    }

    /// Whether the workloads of this region believe this id.
    pub(crate) fn is_gateway(&self, here: RegionId, id: &[u8]) -> bool {
        find(&self.gateways, id) == Some(here)
    }

    /// Whether a guard of this region stands before whatever has this id.
    pub(crate) fn has_guard(&self, here: RegionId, id: &[u8]) -> bool {
        self.is_gateway(here, id) || find(&self.workloads, id) == Some(here)
    }

    /// This id, if it is one of the policy's.
    pub(crate) fn known(&self, id: &[u8]) -> Option<&str> {
        let lists = [&self.peers, &self.gateways, &self.workloads];
        let name = lists.into_iter().find_map(|ids| Some(&ids.get(place(ids, id)?)?.0))?;
        core::str::from_utf8(name).ok()
    }

    pub(crate) fn hmac(&self) -> Option<&Hmac> {
        self.hmac.as_ref()
    }
}

fn find(ids: &Ids, id: &[u8]) -> Option<RegionId> {
    ids.get(place(ids, id)?).map(|(_, region)| *region)
}

fn place(ids: &Ids, id: &[u8]) -> Option<usize> {
    ids.binary_search_by(|(known, _)| (**known).cmp(id)).ok()
}

/// The ids of all regions. A trust domain belongs to one region: its authority could vouch for the
/// other one's ids otherwise.
fn compile_ids<'b>(
    body: &'b wire::PolicyBody,
    key: &str,
    ids_of: impl Fn(&'b wire::Region) -> &'b [String],
    domains: &mut BTreeMap<&'b str, RegionId>,
) -> Result<Ids, ConfigFault> {
    let mut ids: Vec<(Box<[u8]>, RegionId)> = Vec::new();
    for (rank, region) in body.regions.iter().enumerate() {
        let Some(number) = RegionId::new(rank) else { continue };
        for (position, id) in ids_of(region).iter().enumerate() {
            let at = || format!("policy.regions[{rank}].{key}[{position}]");
            if ids.len() >= IDS_MAX {
                return Err(fault(at(), format!("are more than {IDS_MAX} ids")));
            }
            let Some(parsed) = SpiffeId::parse(id) else {
                return Err(fault(at(), format!("`{}` is no SPIFFE id", id.escape_debug())));
            };
            let domain = parsed.trust_domain();
            if *domains.entry(domain).or_insert(number) != number {
                let message = format!("the trust domain `{domain}` is that of another region");
                return Err(fault(at(), message));
            }
            if ids.iter().any(|(known, _)| **known == *id.as_bytes()) {
                return Err(fault(at(), format!("`{id}` stands twice")));
            }
            ids.push((id.as_bytes().into(), number));
        }
    }
    ids.sort();
    Ok(ids.into())
}

fn compile_hmac(hmac: &wire::Hmac) -> Result<Hmac, ConfigFault> {
    let path = "policy.hmac";
    if hmac.keys.is_empty() || hmac.keys.len() > Hmac::KEYS_MAX {
        let message = format!("needs 1 to {} keys", Hmac::KEYS_MAX);
        return Err(fault(format!("{path}.keys"), message));
    }
    let window = Hmac::REPLAY_WINDOW_MS;
    if !window.contains(&hmac.replay_window_ms) {
        let message = format!("is not between {} and {}", window.start(), window.end());
        return Err(fault(format!("{path}.replayWindowMs"), message));
    }
    let mut keys: Vec<HmacKey> = Vec::new();
    for (number, key) in hmac.keys.iter().enumerate() {
        let at = |name: &str| format!("{path}.keys[{number}].{name}");
        if !HmacKey::is_id(&key.id) {
            let form = format!("is not of the form [a-z0-9]{{1,{KEY_ID_MAX}}}");
            return Err(fault(at("id"), form));
        }
        if !HmacKey::is_env(&key.env) {
            return Err(fault(at("env"), "is not of the form MESHFENCE_[A-Z0-9_]+"));
        }
        if keys.iter().any(|known| *known.id == *key.id) {
            return Err(fault(at("id"), format!("`{}` stands twice", key.id)));
        }
        if keys.iter().any(|known| *known.env == *key.env) {
            return Err(fault(at("env"), format!("`{}` stands twice", key.env)));
        }
        keys.push(HmacKey { id: key.id.as_str().into(), env: key.env.as_str().into() });
    }
    Ok(Hmac { keys: keys.into(), replay_window_ms: hmac.replay_window_ms })
}

#[cfg(test)]
mod tests {
    use crate::wire::{HmacKey, PluginConfig};
    use crate::{Policy, wire};
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    fn config(change: impl FnOnce(&mut wire::PolicyBody)) -> PluginConfig {
        let shop = include_bytes!("../../fixtures/shop.json");
        let mut config = PluginConfig::from_json(shop).unwrap();
        change(&mut config.policy);
        config
    }

    #[test]
    fn ids_stand_for_their_regions() {
        let policy = Policy::compile(&config(|_| {})).unwrap();
        assert_eq!(policy.region_name(policy.here()), "taiwan");
        for (id, peer_of, believed) in [
            ("spiffe://taiwan.shop/ns/gateways/sa/peer", Some("taiwan"), true),
            ("spiffe://tokyo.shop/ns/gateways/sa/peer", Some("tokyo"), false),
            ("spiffe://taiwan.shop/ns/gateways/sa/public", None, true),
            ("spiffe://tokyo.shop/ns/gateways/sa/public", None, false),
            ("spiffe://taiwan.shop/ns/gateways/sa/peer2", None, false),
            ("spiffe://taiwan.shop/ns/gateways/sa/pee", None, false),
            ("", None, false),
        ] {
            let region = policy.peer_region(id.as_bytes()).map(|region| policy.region_name(region));
            assert_eq!(region, peer_of, "{id}");
            assert_eq!(policy.believes(id.as_bytes()), believed, "{id}");
        }
        assert_eq!(policy.hmac(), None);
    }

    #[test]
    fn what_cannot_be_believed_is_refused() {
        type Change = fn(&mut wire::PolicyBody);
        let refused: [(Change, &str); 6] = [
            (
                |body| body.regions[0].peer_ids.push("spiffe://taiwan.shop".into()),
                "policy.regions[0].peerIds[1]: `spiffe://taiwan.shop` is no SPIFFE id",
            ),
            (
                |body| body.regions[1].gateway_ids.push("a\n".into()),
                "policy.regions[1].gatewayIds[2]: `a\\n` is no SPIFFE id",
            ),
            (
                |body| {
                    let id = body.regions[0].peer_ids[0].clone();
                    body.regions[0].peer_ids.push(id);
                },
                "policy.regions[0].peerIds[1]: `spiffe://taiwan.shop/ns/gateways/sa/peer` stands twice",
            ),
            (
                |body| body.regions[1].peer_ids = body.regions[0].peer_ids.clone(),
                "policy.regions[1].peerIds[0]: the trust domain `taiwan.shop` is that of another region",
            ),
            (
                |body| body.regions[1].gateway_ids.push("spiffe://taiwan.shop/x".into()),
                "policy.regions[1].gatewayIds[2]: the trust domain `taiwan.shop` is that of another region",
            ),
            (
                |body| {
                    body.regions[0].peer_ids =
                        (0..1001).map(|n| alloc::format!("spiffe://taiwan.shop/{n}")).collect();
                },
                "policy.regions[0].peerIds[1000]: are more than 1000 ids",
            ),
        ];
        for (change, message) in refused {
            let fault = Policy::compile(&config(change)).unwrap_err();
            assert_eq!(fault.to_string(), message);
        }
    }

    #[test]
    fn keys_have_names_and_places() {
        let key = |id: &str, env: &str| HmacKey { id: id.into(), env: env.into() };
        let long = "a".repeat(17);
        for (keys, replay_window_ms, message) in [
            (Vec::from([key("k1", "MESHFENCE_HMAC_K1"), key("2", "MESHFENCE_K2")]), 1_000, ""),
            (Vec::from([key("k1", "MESHFENCE_A")]), 300_000, ""),
            (Vec::new(), 30_000, "policy.hmac.keys: needs 1 to 4 keys"),
            (
                (0..5).map(|n| key(&alloc::format!("k{n}"), "MESHFENCE_A")).collect(),
                30_000,
                "policy.hmac.keys: needs 1 to 4 keys",
            ),
            (
                Vec::from([key("k1", "MESHFENCE_A")]),
                999,
                "policy.hmac.replayWindowMs: is not between 1000 and 300000",
            ),
            (
                Vec::from([key("k1", "MESHFENCE_A")]),
                300_001,
                "policy.hmac.replayWindowMs: is not between 1000 and 300000",
            ),
            (
                Vec::from([key("K1", "MESHFENCE_A")]),
                30_000,
                "policy.hmac.keys[0].id: is not of the form [a-z0-9]{1,16}",
            ),
            (
                Vec::from([key("", "MESHFENCE_A")]),
                30_000,
                "policy.hmac.keys[0].id: is not of the form [a-z0-9]{1,16}",
            ),
            (
                Vec::from([key(&long, "MESHFENCE_A")]),
                30_000,
                "policy.hmac.keys[0].id: is not of the form [a-z0-9]{1,16}",
            ),
            (
                Vec::from([key("k1", "1A")]),
                30_000,
                "policy.hmac.keys[0].env: is not of the form MESHFENCE_[A-Z0-9_]+",
            ),
            (
                Vec::from([key("k1", "a")]),
                30_000,
                "policy.hmac.keys[0].env: is not of the form MESHFENCE_[A-Z0-9_]+",
            ),
            (
                Vec::from([key("k1", "MESHFENCE_A"), key("k1", "MESHFENCE_B")]),
                30_000,
                "policy.hmac.keys[1].id: `k1` stands twice",
            ),
            (
                Vec::from([key("k1", "MESHFENCE_A"), key("k2", "MESHFENCE_A")]),
                30_000,
                "policy.hmac.keys[1].env: `MESHFENCE_A` stands twice",
            ),
        ] {
            let count = keys.len();
            let compiled = Policy::compile(&config(|body| {
                body.hmac = Some(wire::Hmac { keys, replay_window_ms });
            }));
            match compiled {
                Ok(policy) => {
                    assert_eq!(message, "");
                    assert_eq!(policy.hmac().map(|hmac| hmac.keys.len()), Some(count));
                }
                Err(fault) => assert_eq!(String::from(message), fault.to_string()),
            }
        }
    }
}

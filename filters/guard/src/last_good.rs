//! The last good configuration of each attachment: what serves when a refused one comes after it.
//!
//! A VM keeps it in its own memory, and sealed in what the VMs of a proxy share, so that it survives
//! a VM that traps. Every plugin of the proxy can write there: only what bears the seal of a secret
//! of this VM is believed.

use crate::host::Vm;
use crate::keyring::{self, MAC_LEN};
use policy_core::OnRejected;
use policy_core::wire::PluginConfig;
use serde_json::Value;
use std::rc::Rc;

/// Attachments that one VM keeps a configuration of; those beyond have none.
const ATTACHMENTS_MAX: usize = 64;
/// A larger configuration is not shared: it would be copied into every VM at once.
const SHARED_LEN_MAX: usize = 4 << 20;

const SEAL: &[u8] = b"meshfence/v1/last-good";

/// Which attachment a configuration is for, as the proxy names it.
#[derive(Debug, Clone, Copy)]
pub struct Attached<'a> {
    /// The name of the plugin: one for each attachment.
    pub plugin: &'a [u8],
    /// The root of the module.
    pub root: &'a [u8],
}

impl Attached<'_> {
    /// What the attachment's last good configuration is called in shared data.
    pub fn shared_key(&self) -> String {
        let Self { plugin, root } = self;
        format!("meshfence/v1/last-good/{}/{}", plugin.escape_ascii(), root.escape_ascii())
    }
}

/// A configuration that was good.
#[derive(Debug, Clone)]
pub(crate) struct Good {
    pub(crate) json: Rc<[u8]>,
    /// Since when it serves, in milliseconds since the Unix epoch; 0 if no clock could tell.
    pub(crate) since_ms: u64,
}

/// The last good configurations of one VM.
#[derive(Debug, Default)]
pub struct LastGood {
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    plugin: Box<[u8]>,
    root: Box<[u8]>,
    good: Good,
}

impl Kept {
    fn is_of(&self, at: Attached<'_>) -> bool {
        *self.plugin == *at.plugin && *self.root == *at.root
    }
}

/// What was found of an attachment.
#[derive(Debug)]
pub(crate) struct Recalled {
    pub(crate) good: Option<Good>,
    /// Something was shared under its name that bears no seal of ours.
    pub(crate) foreign: bool,
}

impl LastGood {
    /// Remembers a configuration that was accepted, and since when it serves.
    pub(crate) fn remember(
        &mut self,
        at: Attached<'_>,
        json: &[u8],
        secret: Option<&[u8]>,
        vm: &mut impl Vm,
    ) -> u64 {
        let known = self.find(at).filter(|good| *good.json == *json);
        let since_ms = known.map_or_else(|| vm.unix_ms().unwrap_or(0), |good| good.since_ms);
        self.keep(at, Good { json: json.into(), since_ms });
        if let Some(secret) = secret
            && json.len() <= SHARED_LEN_MAX
            && let Some(sealed) = seal(at, secret, since_ms, json)
        {
            // What cannot be shared does not survive this VM, and that is refused then.
            let _ = vm.share(&at.shared_key(), &sealed);
        }
        since_ms
    }

    /// The last good configuration: this VM's own, else one under the seal of a secret.
    pub(crate) fn recall(
        &mut self,
        at: Attached<'_>,
        secrets: &[(String, Vec<u8>)],
        vm: &mut impl Vm,
    ) -> Recalled {
        if let Some(good) = self.find(at) {
            return Recalled { good: Some(good.clone()), foreign: false };
        }
        let Some(shared) = vm.shared(&at.shared_key()).filter(|shared| !shared.is_empty()) else {
            return Recalled { good: None, foreign: false };
        };
        let secrets = secrets.iter().map(|(_, secret)| secret.as_slice());
        let good = secrets
            .filter(|secret| keyring::is_secret(secret))
            .find_map(|secret| unseal(at, secret, &shared));
        if let Some(good) = &good {
            self.keep(at, good.clone());
        }
        Recalled { foreign: good.is_none(), good }
    }

    fn find(&self, at: Attached<'_>) -> Option<&Good> {
        self.kept.iter().find(|kept| kept.is_of(at)).map(|kept| &kept.good)
    }

    fn keep(&mut self, at: Attached<'_>, good: Good) {
        self.kept.retain(|kept| !kept.is_of(at));
        if self.kept.len() < ATTACHMENTS_MAX {
            self.kept.push(Kept { plugin: at.plugin.into(), root: at.root.into(), good });
        }
    }
}

fn seal(at: Attached<'_>, secret: &[u8], since_ms: u64, json: &[u8]) -> Option<Vec<u8>> {
    let since = since_ms.to_le_bytes();
    let mac = keyring::mac(secret, &[SEAL, at.plugin, at.root, &since, json])?;
    let mut sealed = Vec::with_capacity(json.len().saturating_add(MAC_LEN).saturating_add(8));
    sealed.extend_from_slice(&mac);
    sealed.extend_from_slice(&since);
    sealed.extend_from_slice(json);
    Some(sealed)
}

fn unseal(at: Attached<'_>, secret: &[u8], sealed: &[u8]) -> Option<Good> {
    let (mac, rest) = sealed.split_first_chunk::<MAC_LEN>()?;
    let (since, json) = rest.split_first_chunk::<8>()?;
    let is_sealed = keyring::verify(secret, &[SEAL, at.plugin, at.root, since, json], mac);
    is_sealed.then(|| Good { json: json.into(), since_ms: u64::from_le_bytes(*since) })
}

/// Whether a good configuration may go on serving after this one was refused.
///
/// A refused configuration may still be read for what it says of that. One that wants other residency
/// rules, or of which nobody can tell whether it does, is not served past unless somebody said so.
pub(crate) fn may_serve(config: &PluginConfig, good: &Good, refused: &[u8]) -> bool {
    let refused: Option<Value> = serde_json::from_slice(refused).ok().filter(Value::is_object);
    let said = |key: &str| refused.as_ref().and_then(|refused| refused.get(key));
    let other_role = said("attachment")
        .and_then(|attachment| attachment.get("role"))
        .is_some_and(|role| role.as_str() != Some(config.attachment.role.as_str()));
    if other_role {
        return false;
    }
    let wanted = match said("onRejected") {
        Some(word) => word.as_str().and_then(OnRejected::parse),
        None if refused.is_none() => config.on_rejected,
        None => None,
    };
    match wanted {
        Some(OnRejected::Refuse) => false,
        Some(OnRejected::LastGood) => true,
        None => {
            let good: Option<Value> = serde_json::from_slice(&good.json).ok();
            let good = good.as_ref().and_then(residency_part);
            good.is_some() && good == refused.as_ref().and_then(residency_part)
        }
    }
}

/// What a configuration says of where data may be: the rules, and what the contexts' data is.
fn residency_part(config: &Value) -> Option<(&Value, Vec<[Option<&Value>; 4]>)> {
    let policy = config.get("policy")?;
    let contexts = policy.get("contexts")?.as_array()?;
    let of =
        |context| ["name", "match", "dataClasses", "subject"].map(|key| Value::get(context, key));
    Some((policy.get("residency")?, contexts.iter().map(of).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeVm;
    use serde_json::json;

    const AT: Attached<'_> = Attached { plugin: b"meshfence.edge", root: b"guard" };
    const SHOP: &[u8] = include_bytes!("../../../policies/policy-core/fixtures/shop.json");

    fn secrets(first: u8) -> Vec<(String, Vec<u8>)> {
        vec![("MESHFENCE_SHORT".into(), vec![first; 31]), ("MESHFENCE_K1".into(), vec![first; 32])]
    }

    #[test]
    fn what_was_sealed_survives_the_vm_and_nothing_else_does() {
        let mut vm = FakeVm { unix_ms: 7, ..FakeVm::default() };
        let since = LastGood::default().remember(AT, SHOP, Some(&[1; 32]), &mut vm);
        assert_eq!(since, 7);
        let shared = vm.shared.get(&AT.shared_key()).cloned().unwrap();
        let touched = |at: usize| {
            let mut touched = shared.clone();
            touched[at] ^= 1;
            touched
        };
        let other = Attached { plugin: b"meshfence.peer", ..AT };
        for (shared, at, secret, found, foreign, why) in [
            (Some(shared.clone()), AT, 1, true, false, "as it was sealed"),
            (Some(shared.clone()), AT, 2, false, true, "another secret"),
            (Some(shared.clone()), other, 1, false, true, "of another attachment"),
            (Some(touched(0)), AT, 1, false, true, "another MAC"),
            (Some(touched(33)), AT, 1, false, true, "another time"),
            (Some(touched(shared.len() - 1)), AT, 1, false, true, "another configuration"),
            (Some(SHOP.into()), AT, 1, false, true, "never sealed"),
            (Some(vec![0; 39]), AT, 1, false, true, "too short"),
            (Some(Vec::new()), AT, 1, false, false, "taken back"),
            (None, AT, 1, false, false, "nothing there"),
        ] {
            let mut vm = FakeVm::default();
            if let Some(shared) = shared {
                vm.shared.insert(at.shared_key(), shared);
            }
            let recalled = LastGood::default().recall(at, &secrets(secret), &mut vm);
            let good = recalled.good.map(|good| (good.since_ms, good.json.to_vec()));
            assert_eq!(good, found.then(|| (7, SHOP.to_vec())), "{why}");
            assert_eq!(recalled.foreign, foreign, "{why}");
        }
    }

    #[test]
    fn without_a_secret_a_vm_has_only_its_own_memory() {
        let mut vm = FakeVm { unix_ms: 7, ..FakeVm::default() };
        let mut own = LastGood::default();
        own.remember(AT, SHOP, None, &mut vm);
        assert!(vm.shared.is_empty());
        assert!(own.recall(AT, &[], &mut vm).good.is_some());
        assert!(LastGood::default().recall(AT, &[], &mut vm).good.is_none());
        vm.unix_ms = 9;
        assert_eq!(own.remember(AT, SHOP, None, &mut vm), 7, "the same one serves on");
        assert_eq!(own.remember(AT, b"{}", None, &mut vm), 9);
    }

    #[test]
    fn a_refused_configuration_that_touches_residency_is_not_served_past() {
        let shop: Value = serde_json::from_slice(SHOP).unwrap();
        let with = |pointer: &str, value: Value| {
            let mut config = shop.clone();
            *config.pointer_mut(pointer).unwrap() = value;
            config.to_string()
        };
        let said = |word: &str, inner: &str| {
            let mut config: Value = serde_json::from_str(inner).unwrap();
            config["onRejected"] = word.into();
            config.to_string()
        };
        let priority = with("/policy/contexts/0/priority", json!(7));
        let rules = with("/policy/residency/rules/0/regions", json!(["osaka"]));
        for (good_says, refused, serves, why) in [
            (None, priority.clone(), true, "residency is as it was"),
            (None, rules.clone(), false, "other rules"),
            (None, with("/policy/contexts/0/dataClasses", json!(["public"])), false, "other data"),
            (None, with("/policy/contexts/0/subject", json!("none")), false, "another subject"),
            (None, with("/policy/contexts/0/match", json!([])), false, "other requests"),
            (None, with("/policy/residency", json!(null)), false, "no rules"),
            (None, with("/policy", json!({})), false, "no policy"),
            (None, String::from("{"), false, "unreadable"),
            (None, String::from("[]"), false, "unreadable"),
            (None, String::new(), false, "empty"),
            (None, said("last-good", &rules), true, "somebody said so"),
            (None, said("refuse", &priority), false, "somebody said so"),
            (None, said("whatever", &priority), true, "said nothing that is known"),
            (Some(OnRejected::LastGood), String::from("{"), true, "said before"),
            (Some(OnRejected::LastGood), rules, false, "not said any more"),
            (Some(OnRejected::Refuse), String::from("{"), false, "said before"),
            (None, with("/attachment/role", json!("peer")), false, "another attachment"),
        ] {
            let mut config = PluginConfig::from_json(SHOP).unwrap();
            config.on_rejected = good_says;
            let good = Good { json: SHOP.into(), since_ms: 0 };
            assert_eq!(may_serve(&config, &good, refused.as_bytes()), serves, "{why}");
        }
    }
}

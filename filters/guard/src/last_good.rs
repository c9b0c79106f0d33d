//! The last good configuration of each attachment: what serves when a refused one comes after it.
//!
//! A VM keeps it in its own memory, and sealed in what the VMs of one id share in a proxy, so that it
//! survives a VM that traps. Every plugin with that id can write there, and Istio gives all of them
//! the same: only what bears the seal of a secret of this VM is believed.

use crate::host::Vm;
use crate::keyring::{self, MAC_LEN};
use policy_core::wire::{FORMAT, PluginConfig};
use policy_core::{OnRejected, Role};
use serde_json::Value;
use siphasher::sip::SipHasher24;
use std::hash::Hasher as _;
use std::rc::Rc;

/// Attachments that one VM keeps a configuration of; the oldest one goes for a new one.
const ATTACHMENTS_MAX: usize = 64;
/// A larger configuration is not kept: it would be copied into every VM at once.
const KEPT_LEN_MAX: usize = 4 << 20;

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
    /// Whether it can be told from others: those without a name would share one configuration.
    fn has_name(&self) -> bool {
        !self.plugin.is_empty()
    }

    /// A number for it in this role: not the same for two that a proxy has.
    pub(crate) fn number(&self, role: Role) -> u64 {
        let mut hasher = SipHasher24::new();
        for part in [self.plugin, self.root, role.as_str().as_bytes()] {
            hasher.write(part);
            hasher.write(&[0]);
        }
        hasher.finish()
    }

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
    /// Remembers a configuration that was accepted, and since when it serves. What was remembered
    /// before is forgotten everywhere, also where this one cannot be kept.
    pub(crate) fn remember(
        &mut self,
        at: Attached<'_>,
        json: &[u8],
        secret: Option<&[u8]>,
        vm: &mut impl Vm,
    ) -> u64 {
        let known = self.find(at).filter(|good| *good.json == *json);
        let since_ms = known.map_or_else(|| vm.unix_ms().unwrap_or(0), |good| good.since_ms);
        let is_kept = at.has_name() && json.len() <= KEPT_LEN_MAX;
        self.forget(at);
        if is_kept {
            self.keep(at, Good { json: json.into(), since_ms });
        }
        let sealed = secret.filter(|_| is_kept).and_then(|secret| seal(at, secret, since_ms, json));
        let key = at.shared_key();
        // What cannot be shared does not survive this VM, and neither does what was there before.
        let is_shared = sealed.is_some_and(|sealed| vm.share(&key, &sealed, None).is_ok());
        if !is_shared && vm.shared(&key).is_some_and(|(shared, _)| !shared.is_empty()) {
            let _ = vm.share(&key, b"", None);
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
        let shared = vm.shared(&at.shared_key()).map(|(shared, _)| shared);
        let shared = shared.filter(|shared| !shared.is_empty());
        let Some(shared) = shared.filter(|_| at.has_name()) else {
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

    fn forget(&mut self, at: Attached<'_>) {
        self.kept.retain(|kept| !kept.is_of(at));
    }

    fn keep(&mut self, at: Attached<'_>, good: Good) {
        self.forget(at);
        if self.kept.len() >= ATTACHMENTS_MAX {
            self.kept.remove(0);
        }
        self.kept.push(Kept { plugin: at.plugin.into(), root: at.root.into(), good });
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
/// rules or believes somebody else, or of which nobody can tell whether it does, is not served past
/// unless somebody said so.
pub(crate) fn may_serve(config: &PluginConfig, good: &Good, refused: &[u8]) -> bool {
    let read = read(refused);
    let said = |key: &str| read.as_ref().and_then(|refused| refused.get(key));
    let own_role = config.attachment.role.as_str();
    let role = said("attachment").and_then(|attachment| attachment.get("role"));
    if role.is_some_and(|role| role.as_str() != Some(own_role)) {
        return false;
    }
    let wanted = match (said("onRejected"), config.on_rejected) {
        // A word that is none was meant to say something: the stricter.
        (Some(word), _) => word.as_str().and_then(OnRejected::parse).or(Some(OnRejected::Refuse)),
        (None, before) if read.is_none() => before,
        (None, Some(OnRejected::Refuse)) => Some(OnRejected::Refuse),
        (None, _) => None,
    };
    match wanted {
        Some(OnRejected::Refuse) => false,
        Some(OnRejected::LastGood) => true,
        None => {
            let good: Option<Value> = serde_json::from_slice(&good.json).ok();
            let good = good.as_ref().and_then(guarded_part);
            good.is_some() && good == read.as_ref().and_then(guarded_part)
        }
    }
}

/// The role that a refused configuration names, if it can be read that far.
pub(crate) fn role(refused: &[u8]) -> Option<Role> {
    Role::parse(read(refused)?.get("attachment")?.get("role")?.as_str()?)
}

fn read(refused: &[u8]) -> Option<Value> {
    serde_json::from_slice(refused).ok().filter(Value::is_object)
}

/// What a configuration says of where data may be, and of who is believed: the rules, what the
/// contexts' data is, whose ids and keys count, where claims are.
fn guarded_part(config: &Value) -> Option<Vec<Option<&Value>>> {
    // What another release means by the same words nobody here can tell.
    config.get("format").filter(|format| format.as_u64() == Some(u64::from(FORMAT)))?;
    let policy = config.get("policy")?;
    policy.get("residency")?;
    let contexts = policy.get("contexts")?.as_array()?;
    let keys = ["name", "match", "dataClasses", "subject", "purpose", "defaultCountry"];
    let of = |context| keys.map(|key| Value::get(context, key));
    let mut part: Vec<Option<&Value>> = contexts.iter().flat_map(of).collect();
    part.extend(["residency", "regions", "hmac"].map(|key| policy.get(key)));
    part.push(config.get("attachment"));
    Some(part)
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
        let (shared, _) = vm.shared.get(&AT.shared_key()).cloned().unwrap();
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
                vm.shared.insert(at.shared_key(), (shared, 1));
            }
            let recalled = LastGood::default().recall(at, &secrets(secret), &mut vm);
            let good = recalled.good.map(|good| (good.since_ms, good.json.to_vec()));
            assert_eq!(good, found.then(|| (7, SHOP.to_vec())), "{why}");
            assert_eq!(recalled.foreign, foreign, "{why}");
        }
    }

    /// A configuration that was replaced is gone, also where its successor could not be kept.
    #[test]
    fn what_was_sealed_is_taken_back() {
        for (json, secret, plugin) in [
            (&b"{}"[..], None, AT.plugin),
            (&vec![b' '; KEPT_LEN_MAX + 1], Some(&[1; 32][..]), AT.plugin),
        ] {
            let mut vm = FakeVm { unix_ms: 7, ..FakeVm::default() };
            let mut own = LastGood::default();
            own.remember(AT, SHOP, Some(&[1; 32]), &mut vm);
            own.remember(Attached { plugin, ..AT }, json, secret, &mut vm);
            let recalled = LastGood::default().recall(AT, &secrets(1), &mut vm);
            assert!(recalled.good.is_none() && !recalled.foreign);
        }
    }

    #[test]
    fn who_has_no_name_has_no_last_good_one() {
        let nobody = Attached { plugin: b"", ..AT };
        let mut vm = FakeVm { unix_ms: 7, ..FakeVm::default() };
        let mut own = LastGood::default();
        own.remember(nobody, SHOP, Some(&[1; 32]), &mut vm);
        assert!(vm.shared.is_empty());
        assert!(own.recall(nobody, &secrets(1), &mut vm).good.is_none());
    }

    #[test]
    fn the_oldest_attachment_goes_for_a_new_one() {
        let mut vm = FakeVm { unix_ms: 7, ..FakeVm::default() };
        let mut own = LastGood::default();
        for number in 0..=ATTACHMENTS_MAX {
            let plugin = number.to_string();
            own.remember(Attached { plugin: plugin.as_bytes(), ..AT }, b"{}", None, &mut vm);
        }
        let mut has =
            |plugin: &[u8]| own.recall(Attached { plugin, ..AT }, &[], &mut vm).good.is_some();
        assert!(!has(b"0") && has(b"1") && has(b"64"));
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
        let with_purpose = || {
            let mut config = shop.clone();
            config["policy"]["contexts"][0]["purpose"] = json!("marketing");
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
            (None, with_purpose(), false, "another purpose"),
            (None, with("/policy/residency", json!(null)), false, "no rules"),
            (None, with("/policy", json!({})), false, "no policy"),
            (None, with("/format", json!(99)), false, "of another release"),
            (None, String::from("{"), false, "unreadable"),
            (None, String::from("[]"), false, "unreadable"),
            (None, String::new(), false, "empty"),
            (None, said("last-good", &rules), true, "somebody said so"),
            (None, said("refuse", &priority), false, "somebody said so"),
            (None, said("refused", &priority), false, "a word that is none"),
            (Some(OnRejected::Refuse), priority.clone(), false, "said before, and not taken back"),
            (
                None,
                with("/policy/regions/1/peerIds", json!([])),
                false,
                "somebody is not believed any more",
            ),
            (None, with("/attachment/region", json!("tokyo")), false, "another region"),
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

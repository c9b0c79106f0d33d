//! `meshfence token session`, `map` and `name`: what only somebody with a key of the mesh can make.
//! The secret comes from the environment, as a proxy's does.

use crate::cli::{Signed, SigningKey, TokenMap, TokenName, TokenSession};
use crate::exit::{Exit, Failure};
use crate::policy_set::{self, Origin};
use crate::terminal;
use guard::issue::{self, Session};
use policy_core::wire::{Hmac, TenantMap};
use policy_core::{Country, PrincipalKind};
use policy_doc::{LoadedMaps, Purpose};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn run(what: &Signed) -> Result<(), Failure> {
    let text = match what {
        Signed::Session(arguments) => session(arguments),
        Signed::Map(arguments) => map(arguments),
        Signed::Name(arguments) => name(arguments),
    };
    terminal::print(&text?)
}

/// The id of a key, and its secret.
struct Key {
    id: String,
    secret: Vec<u8>,
}

impl Key {
    fn find(hmac: Option<&Hmac>, wanted: &SigningKey) -> Result<Self, Failure> {
        let keys = hmac.map(|hmac| hmac.keys.as_slice()).unwrap_or_default();
        let known = match &wanted.key {
            None => keys.first().ok_or_else(|| {
                Failure::new(Exit::Usage, "the policy set has no keys")
                    .help("add `hmac: {keys: [{id: k1, env: MESHFENCE_HMAC_K1}]}` to its `Mesh`")
            })?,
            Some(id) => keys.iter().find(|key| key.id == *id).ok_or_else(|| {
                let names: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
                Failure::new(Exit::Usage, format!("`{id}` is no key of the policy set"))
                    .suggest(id, &names)
            })?,
        };
        let variable = wanted.key_env.as_deref().unwrap_or(&known.env);
        let secret = std::env::var(variable).unwrap_or_default();
        if secret.len() < issue::SECRET_LEN_MIN {
            let least = issue::SECRET_LEN_MIN;
            let message = format!("`{variable}` is not set, or shorter than {least} bytes");
            return Err(Failure::new(Exit::Usage, message)
                .help("it has to have the secret that the proxies have in their environment"));
        }
        Ok(Self { id: known.id.clone(), secret: secret.into_bytes() })
    }
}

fn session(arguments: &TokenSession) -> Result<String, Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::LocalTry)?;
    let key = Key::find(set.body.hmac.as_ref(), &arguments.key)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // What stands for a caller is made with the key that signs, whichever key signs this.
    let first = SigningKey { key: None, key_env: None };
    let first = Key::find(set.body.hmac.as_ref(), &first);
    let pseudonym_key = first.as_ref().unwrap_or(&key);
    let made = issue::pseudonym(arguments.sub.as_bytes(), &pseudonym_key.secret);
    let made = made.and_then(|pseudonym| {
        let session = Session {
            key: &key.id,
            expiry_s: now.saturating_add(u64::from(arguments.minutes).saturating_mul(60)),
            country: arguments.country.as_deref().and_then(|code| Country::parse(code.as_bytes())),
            kind: PrincipalKind::parse(&arguments.kind)?,
            pseudonym,
        };
        issue::session(&session, &key.secret)
    });
    made.ok_or_else(unsigned)
}

fn map(arguments: &TokenMap) -> Result<String, Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let (hmac, map) = find_map(origin, arguments.map.as_deref())?;
    let key = Key::find(hmac.as_ref(), &arguments.key)?;
    issue::map_signature(&map, &key.id, &key.secret).ok_or_else(unsigned)
}

fn name(arguments: &TokenName) -> Result<String, Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let (hmac, map) = find_map(origin, arguments.map.as_deref())?;
    let key = Key::find(hmac.as_ref(), &arguments.key)?;
    issue::name_mac(&map.name, &arguments.id, &key.id, &key.secret).ok_or_else(unsigned)
}

/// A map of a policy set, which may lack its signature, and the keys of the set.
fn find_map(origin: Origin<'_>, name: Option<&str>) -> Result<(Option<Hmac>, TenantMap), Failure> {
    let LoadedMaps { maps, hmac, .. } = policy_set::maps(origin)?;
    let names: Vec<&str> = maps.iter().map(|map| map.name.as_str()).collect();
    let found = match (name, maps.as_slice()) {
        (Some(name), maps) => maps.iter().find(|map| map.name == name).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("`{name}` is no tenant map of the policy set"))
                .suggest(name, &names)
        })?,
        (None, [map]) => map,
        (None, []) => return Err(Failure::new(Exit::Usage, "the policy set has no tenant map")),
        (None, _) => {
            return Err(Failure::new(Exit::Usage, "the policy set has several tenant maps")
                .help(format!("choose one with --map: {}", names.join(", "))));
        }
    };
    Ok((hmac, found.clone()))
}

fn unsigned() -> Failure {
    Failure::new(Exit::Internal, "the key does not sign")
}

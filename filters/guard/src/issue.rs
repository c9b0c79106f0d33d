//! What only somebody with a key of the mesh can make: sessions, signatures of maps, hashes of
//! persons' ids. Guards check them; whoever logs users in, and who writes maps, makes them.

use crate::keyring::{MAC_LEN, mac, verify};
use policy_core::wire::TenantMap;
use policy_core::{Pseudonym, unhex};
use std::fmt::Write as _;

pub use residency::Session;

/// A shorter secret is none.
pub use crate::keyring::SECRET_LEN_MIN;

/// Bytes of a MAC that are written where it is bound to be short.
const SHORT: usize = 16;

const SESSION: &[u8] = b"meshfence/v1/session";
const MAP: &[u8] = b"meshfence/v1/tenant-map";
const NAME: &[u8] = b"meshfence/v1/name";
const PSEUDONYM: &[u8] = b"meshfence/v1/pseudonym";
const TENANT: &[u8] = b"meshfence/v1/pseudonym/tenant";

/// The value of `meshfence-session` for a caller, by the secret of the key that it names.
pub fn session(session: &Session<'_>, secret: &[u8]) -> Option<String> {
    let signed = session.to_string();
    let mac = mac(secret, &[SESSION, signed.as_bytes()])?;
    let (short, _) = mac.split_at_checked(SHORT)?;
    Some(format!("{signed}.{}", hex(short)))
}

/// The signature of a map: of everything in it but its signature.
pub fn map_signature(map: &TenantMap, key: &str, secret: &[u8]) -> Option<String> {
    let mac = map_mac(map, secret)?;
    Some(format!("{key}:{}", hex(&mac)))
}

/// The `nameMac` of a person in a map.
pub fn name_mac(map: &str, id: &str, key: &str, secret: &[u8]) -> Option<String> {
    Some(format!("{key}:{}", hex(&short_name_mac(map, id.as_bytes(), secret)?)))
}

/// What stands for the caller with this `sub` claim.
pub fn pseudonym(sub: &[u8], secret: &[u8]) -> Option<Pseudonym> {
    first_bytes(mac(secret, &[PSEUDONYM, sub])?).map(Pseudonym)
}

/// What stands for a tenant.
pub(crate) fn tenant_pseudonym(map: &str, name: &str, secret: &[u8]) -> Option<Pseudonym> {
    let mac = mac(secret, &[TENANT, map.as_bytes(), name.as_bytes()])?;
    first_bytes(mac).map(Pseudonym)
}

pub(crate) fn short_name_mac(map: &str, id: &[u8], secret: &[u8]) -> Option<[u8; SHORT]> {
    first_bytes(mac(secret, &[NAME, map.as_bytes(), id])?)
}

/// Whether a key has signed this text of a session.
pub(crate) fn is_session_mac(signed: &str, secret: &[u8], mac: &[u8; SHORT]) -> bool {
    verify(secret, &[SESSION, signed.as_bytes()], mac)
}

/// Whether a key has signed a map.
pub(crate) fn is_map_signature(map: &TenantMap, secret: &[u8]) -> bool {
    let written = map.signature.as_deref().and_then(|signature| signature.split_once(':'));
    let written = written.and_then(|(_, mac)| unhex::<MAC_LEN>(mac.as_bytes()));
    written.is_some_and(|mac| verify(secret, &[MAP, &map.signed_content()], &mac))
}

fn map_mac(map: &TenantMap, secret: &[u8]) -> Option<[u8; MAC_LEN]> {
    mac(secret, &[MAP, &map.signed_content()])
}

fn first_bytes<const N: usize>(mac: [u8; MAC_LEN]) -> Option<[u8; N]> {
    mac.first_chunk().copied()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

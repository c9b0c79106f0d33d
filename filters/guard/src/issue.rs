//! What only somebody with a key of the mesh can make: sessions, what clients carry of versions, signatures of maps, hashes of
//! persons' ids. Guards check them; whoever logs users in, and who writes maps, makes them.

use crate::carriers::{self, Binding};
use crate::keyring::{MAC_LEN, mac, short, verify};
use origin_tag::{Seen, VersionVector};
use policy_core::wire::TenantMap;
use policy_core::{Hex, Pseudonym, SignedText, unhex};

pub use origin_tag::{Stamp, Time};
pub use residency::Session;

/// A shorter secret is none.
pub use crate::keyring::SECRET_LEN_MIN;

const SESSION: &[u8] = b"meshfence/v1/session";
const MAP: &[u8] = b"meshfence/v1/tenant-map";
const NAME: &[u8] = b"meshfence/v1/name";
const PSEUDONYM: &[u8] = b"meshfence/v1/pseudonym";
const TENANT: &[u8] = b"meshfence/v1/pseudonym/tenant";

/// The value of `meshfence-session` for a caller, by the secret of the key that it names.
pub fn session(session: &Session<'_>, secret: &[u8]) -> Option<String> {
    let signed = session.to_string();
    let mac = mac(secret, &[SESSION, signed.as_bytes()])?;
    Some(format!("{signed}.{}", short(&mac)))
}

/// What a client has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read<'r> {
    /// The version.
    pub version: Stamp,
    /// The newest versions of other regions in it.
    pub others: &'r [Stamp],
}

/// The `ETag` of what was read at a path, without its query, by whom this stands for, by the secret of
/// the key with this id. Nothing where there are more regions in it than a version vector has.
pub fn entity_tag(
    key: &str,
    secret: &[u8],
    read: &Read<'_>,
    path: &[u8],
    subject: Option<Pseudonym>,
) -> Option<String> {
    let mut vector = VersionVector::new();
    read.others.iter().all(|other| vector.observe(*other)).then_some(())?;
    let seen = Seen::with(read.version, &vector)?;
    let tag = carriers::tag_by(key, secret, seen, Binding::new(path, subject))?;
    Some(tag.as_str().to_owned())
}

/// The value of `meshfence-causal` for a client that has seen this version, until this time in seconds
/// since the Unix epoch, by the secret of the key with this id.
pub fn causal(key: &str, secret: &[u8], version: Stamp, expiry_s: u64) -> Option<String> {
    Some(carriers::causal_by(key, secret, version, expiry_s)?.as_str().to_owned())
}

/// The signature of a map: of everything in it but its signature.
pub fn map_signature(map: &TenantMap, key: &str, secret: &[u8]) -> Option<String> {
    let mac = map_mac(map, secret)?;
    Some(format!("{key}:{}", Hex(&mac)))
}

/// The `nameMac` of a person in a map.
pub fn name_mac(map: &str, id: &str, key: &str, secret: &[u8]) -> Option<String> {
    Some(format!("{key}:{}", Hex(&short_name_mac(map, id.as_bytes(), secret)?)))
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

pub(crate) fn short_name_mac(
    map: &str,
    id: &[u8],
    secret: &[u8],
) -> Option<[u8; SignedText::MAC_LEN]> {
    first_bytes(mac(secret, &[NAME, map.as_bytes(), id])?)
}

/// Whether a key has signed this text of a session.
pub(crate) fn is_session_mac(signed: &str, secret: &[u8], mac: &[u8; SignedText::MAC_LEN]) -> bool {
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

//! What the guard before a workload signs for the guard behind it, so that a workload can pass on
//! whom a request is about, and cannot make it up.
//!
//! `k1;t=1732483200000;s=<32 hex>;v=<32 hex>`: the key, when it was signed in milliseconds since the
//! Unix epoch, and the first halves of two MACs, of the subject and of origin with version. Each
//! stands alone: a workload may pass on one without the other.

use crate::facts::Claimed;
use crate::header;
use crate::keyring::{self, Key, KeyRing};
use policy_core::{SignedText, unhex};
use std::fmt::Write as _;

/// A longer signature is none.
const LEN_MAX: usize = 160;

/// What is signed. What is not there is not signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Signed<'s> {
    /// `x-meshfence-subject`.
    pub(crate) subject: Option<&'s [u8]>,
    /// The version of a write.
    pub(crate) version: Option<Version<'s>>,
}

/// The version of a write, and what it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version<'s> {
    /// `x-meshfence-origin`.
    origin: &'s [u8],
    /// `x-meshfence-version`.
    stamp: &'s [u8],
    /// `x-meshfence-unsynced`; no bytes if it is not there.
    unsynced: &'s [u8],
}

impl<'s> Version<'s> {
    /// What the headers of a request say, if they say all of it.
    pub(crate) fn of(claimed: &Claimed<'s>) -> Option<Self> {
        let unsynced = claimed.unsynced.unwrap_or_default();
        Some(Self { origin: claimed.origin?, stamp: claimed.version?, unsynced })
    }
}

impl Signed<'_> {
    /// Whether a header is part of it.
    pub(crate) fn covers(&self, name: &[u8]) -> bool {
        let is = |known: &str| name == known.as_bytes();
        let is_version = is(header::ORIGIN) || is(header::VERSION) || is(header::UNSYNCED);
        (self.subject.is_some() && is(header::SUBJECT)) || (self.version.is_some() && is_version)
    }

    /// Whether a header is the signature that has done its work.
    pub(crate) fn is_spent(&self, name: &[u8]) -> bool {
        *self != Signed::default() && name == header::SIG.as_bytes()
    }
}

/// Signs; nothing where there is nothing to sign, or nothing to sign with.
pub(crate) fn sign(
    keys: &KeyRing,
    region: &str,
    signed: Signed<'_>,
    now_ms: u64,
) -> Option<String> {
    let key = keys.first()?;
    let mut text = format!("{};t={now_ms}", key.id());
    if let Some(subject) = signed.subject {
        push(&mut text, 's', &subject_mac(key, region, now_ms, subject)?);
    }
    if let Some(version) = &signed.version {
        push(&mut text, 'v', &version_mac(key, region, now_ms, version)?);
    }
    Some(text)
}

/// What of `claimed` a signature covers, at this time in this region.
pub(crate) fn verify<'s>(
    keys: &KeyRing,
    region: &str,
    signature: &[u8],
    claimed: Signed<'s>,
    now_ms: u64,
) -> Signed<'s> {
    verified(keys, region, signature, claimed, now_ms).unwrap_or_default()
}

fn verified<'s>(
    keys: &KeyRing,
    region: &str,
    signature: &[u8],
    claimed: Signed<'s>,
    now_ms: u64,
) -> Option<Signed<'s>> {
    let text = core::str::from_utf8(signature).ok().filter(|text| text.len() <= LEN_MAX)?;
    let mut parts = text.split(';');
    let key = keys.find(parts.next()?)?;
    let time = parts.next()?.strip_prefix("t=")?;
    let signed_ms: u64 = time.parse().ok()?;
    // Two readings are compared, and in a sidecar they are of one clock.
    if signed_ms.to_string() != time || now_ms.abs_diff(signed_ms) > keys.window_ms() {
        return None;
    }
    let mut found = Signed::default();
    for part in parts {
        let (what, mac) = part.split_at_checked(2)?;
        let mac: [u8; SignedText::MAC_LEN] = unhex(mac.as_bytes())?;
        let region = region.as_bytes();
        match what {
            "s=" => {
                found.subject = claimed.subject.filter(|subject| {
                    keyring::verify(key.secret(), &subject_parts(region, time, subject), &mac)
                });
            }
            "v=" => {
                found.version = claimed.version.filter(|version| {
                    keyring::verify(key.secret(), &version_parts(region, time, version), &mac)
                });
            }
            _ => return None,
        }
    }
    Some(found)
}

fn subject_parts<'p>(region: &'p [u8], time: &'p str, subject: &'p [u8]) -> [&'p [u8]; 4] {
    [b"meshfence/v1/subject", region, time.as_bytes(), subject]
}

fn version_parts<'p>(region: &'p [u8], time: &'p str, version: &Version<'p>) -> [&'p [u8]; 6] {
    let Version { origin, stamp, unsynced } = *version;
    [b"meshfence/v1/version", region, time.as_bytes(), origin, stamp, unsynced]
}

fn subject_mac(key: &Key, region: &str, ms: u64, subject: &[u8]) -> Option<[u8; keyring::MAC_LEN]> {
    let time = ms.to_string();
    keyring::mac(key.secret(), &subject_parts(region.as_bytes(), &time, subject))
}

fn version_mac(
    key: &Key,
    region: &str,
    ms: u64,
    version: &Version<'_>,
) -> Option<[u8; keyring::MAC_LEN]> {
    let time = ms.to_string();
    keyring::mac(key.secret(), &version_parts(region.as_bytes(), &time, version))
}

fn push(text: &mut String, what: char, mac: &[u8; keyring::MAC_LEN]) {
    // Writing into a String cannot fail.
    let _ = write!(text, ";{what}={}", keyring::short(mac));
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_732_483_200_000;

    /// The keys `k1` and `k2`, in this order or with the second one first.
    fn keys(names: [&str; 2]) -> KeyRing {
        let byte = |name: &str| if name == "k1" { 1 } else { 2 };
        crate::tests::keys(&names.map(|name| (name, byte(name))))
    }

    const VERSION: Version<'_> = Version { origin: b"tokyo", stamp: b"0-tyo-0", unsynced: b"1" };
    const ALL: Signed<'_> = Signed { subject: Some(b"JP"), version: Some(VERSION) };

    #[test]
    fn what_was_signed_is_believed_for_a_while() {
        let keys = keys(["k1", "k2"]);
        let text = sign(&keys, "tokyo", ALL, NOW).unwrap();
        let nothing = Signed::default();
        let subject = Signed { version: None, ..ALL };
        let version = Signed { subject: None, ..ALL };
        let other = Signed { subject: Some(b"TW"), ..ALL };
        let sound = Signed { version: Some(Version { unsynced: b"", ..VERSION }), ..ALL };
        for (claimed, region, now, believed, why) in [
            (ALL, "tokyo", NOW, ALL, "all of it"),
            (subject, "tokyo", NOW, subject, "the subject alone"),
            (version, "tokyo", NOW, version, "the version alone"),
            (other, "tokyo", NOW, version, "another subject"),
            (sound, "tokyo", NOW, subject, "the mark left out"),
            (ALL, "tokyo", NOW + 30_000, ALL, "the end of the window"),
            (ALL, "tokyo", NOW + 30_001, nothing, "too old"),
            (ALL, "tokyo", NOW - 30_001, nothing, "from the future"),
            (ALL, "taiwan", NOW, nothing, "another region"),
        ] {
            assert_eq!(verify(&keys, region, text.as_bytes(), claimed, now), believed, "{why}");
        }
    }

    #[test]
    fn keys_can_be_changed() {
        let text = sign(&keys(["k1", "k2"]), "tokyo", ALL, NOW).unwrap();
        assert!(text.starts_with("k1;t=1732483200000;s="), "{text}");
        let rotated = keys(["k2", "k1"]);
        assert_eq!(verify(&rotated, "tokyo", text.as_bytes(), ALL, NOW), ALL);
        assert!(sign(&rotated, "tokyo", ALL, NOW).unwrap().starts_with("k2;"));
        let none = KeyRing::default();
        assert_eq!(verify(&none, "tokyo", text.as_bytes(), ALL, NOW), Signed::default());
        assert_eq!(sign(&none, "tokyo", ALL, NOW), None);
    }

    #[test]
    fn a_signature_that_was_touched_is_none() {
        let keys = keys(["k1", "k2"]);
        let text = sign(&keys, "tokyo", ALL, NOW).unwrap();
        let nothing = Signed::default();
        for touched in [
            text.replace("k1", "k2"),
            text.replace("k1", "k3"),
            text.replace("t=17", "t=017"),
            text.replace("t=1732483200000", "t=1732483200001"),
            text.replace(";s=", ";x="),
            text.to_uppercase(),
            text.chars().take(60).collect(),
            format!("{text};"),
            format!("{text}{}", "0".repeat(200)),
            String::new(),
        ] {
            let believed = verify(&keys, "tokyo", touched.as_bytes(), ALL, NOW);
            assert_eq!(believed, nothing, "{touched}");
        }
    }
}

//! The secrets of a VM: what it signs with, what it seals with, and whose seals it breaks.

use hmac::{Hmac, KeyInit as _, Mac as _};
use policy_core::{Hex, Policy, SignedText};
use sha2::Sha256;
use std::fmt;

/// A shorter secret could be guessed; it is no secret.
pub const SECRET_LEN_MIN: usize = 32;

/// The length of a MAC in bytes.
pub(crate) const MAC_LEN: usize = 32;

/// How far ahead of ours the clock may be that a value was signed by, in seconds.
const AHEAD_S: u64 = 60;

/// The latest end, in seconds since the Unix epoch, that a signed value may have which lasts no longer
/// than this.
pub(crate) const fn latest_expiry_s(now_s: u64, lifetime_s: u64) -> u64 {
    now_s.saturating_add(lifetime_s).saturating_add(AHEAD_S)
}

/// One secret and what signatures call it.
pub(crate) struct Key {
    id: Box<str>,
    secret: Box<[u8]>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// The keys that a policy names, as far as the VM has their secrets; the first one signs.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    keys: Box<[Key]>,
    /// The variables whose secrets are not there, or too short.
    missing: Box<[Box<str>]>,
    window_ms: u64,
}

impl KeyRing {
    /// The keys of a policy, out of the secrets of a VM.
    pub(crate) fn new(policy: &Policy, secrets: &[(String, Vec<u8>)]) -> Self {
        let Some(hmac) = policy.hmac() else { return Self::default() };
        let (mut keys, mut missing) = (Vec::new(), Vec::new());
        for key in &hmac.keys {
            let secret = secrets.iter().find(|(name, _)| **name == *key.env);
            match secret.filter(|(_, secret)| is_secret(secret)) {
                Some((_, secret)) => {
                    keys.push(Key { id: key.id.clone(), secret: secret.as_slice().into() });
                }
                None => missing.push(key.env.clone()),
            }
        }
        let window_ms = u64::from(hmac.replay_window_ms);
        Self { keys: keys.into(), missing: missing.into(), window_ms }
    }

    /// The variables whose secrets are not there, or too short.
    pub(crate) fn missing(&self) -> &[Box<str>] {
        &self.missing
    }

    /// The key that signs.
    pub(crate) fn first(&self) -> Option<&Key> {
        self.keys.first()
    }

    /// Seals bytes as what these parts say they are, by the key that signs.
    pub(crate) fn seal(&self, [what, whose]: [&[u8]; 2], bytes: &[u8]) -> Option<Vec<u8>> {
        let mac = mac(self.first()?.secret(), &[what, whose, bytes])?;
        Some([&mac[..], bytes].concat())
    }

    /// The bytes under a seal of any of the keys.
    pub(crate) fn unseal<'s>(
        &self,
        [what, whose]: [&[u8]; 2],
        sealed: &'s [u8],
    ) -> Option<&'s [u8]> {
        let (mac, bytes) = sealed.split_first_chunk::<MAC_LEN>()?;
        let is_by = |key: &Key| verify(key.secret(), &[what, whose, bytes], mac);
        self.keys.iter().any(is_by).then_some(bytes)
    }

    /// The key with this id.
    pub(crate) fn find(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| *key.id == *id)
    }

    /// For how long a signature is believed.
    pub(crate) fn window_ms(&self) -> u64 {
        self.window_ms
    }
}

impl Key {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// A key for hashes that nobody else can work out.
    pub(crate) fn hash_key(&self) -> (u64, u64) {
        let derived = self.derived(b"meshfence/v1/hash");
        let half = |half: Option<&[u8; 8]>| half.copied().map_or(0, u64::from_le_bytes);
        (half(derived.first_chunk()), half(derived.last_chunk()))
    }

    /// What cohorts are drawn with, the same wherever this key signs.
    pub(crate) fn cohort_salt(&self) -> [u8; 16] {
        self.derived(b"meshfence/v1/cohort")
    }

    fn derived(&self, what: &[u8]) -> [u8; 16] {
        let mac = mac(&self.secret, &[what]).unwrap_or_default();
        mac.first_chunk().copied().unwrap_or_default()
    }
}

/// Whether these bytes are long enough to be a secret.
pub(crate) fn is_secret(secret: &[u8]) -> bool {
    secret.len() >= SECRET_LEN_MIN
}

/// The HMAC-SHA-256 of some parts (RFC 2104), each with its length before it, so that no two lists
/// of parts look alike.
pub(crate) fn mac(secret: &[u8], parts: &[&[u8]]) -> Option<[u8; MAC_LEN]> {
    Some(keyed(secret, parts)?.finalize().into_bytes().into())
}

/// Whether a MAC, or its first half or more, is that of these parts. It takes as long for a wrong
/// one as for the right one.
pub(crate) fn verify(secret: &[u8], parts: &[&[u8]], mac: &[u8]) -> bool {
    let is_long = mac.len() >= MAC_LEN / 2;
    is_long && keyed(secret, parts).is_some_and(|keyed| keyed.verify_truncated_left(mac).is_ok())
}

/// As much of a MAC as is written where it is bound to be short, in hexadecimal digits.
pub(crate) fn short(mac: &[u8; MAC_LEN]) -> Hex<'_> {
    Hex(mac.get(..SignedText::MAC_LEN).unwrap_or_default())
}

fn keyed(secret: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    // HMAC takes keys of every length.
    let mut keyed = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    for part in parts {
        keyed.update(&u64::try_from(part.len()).ok()?.to_le_bytes());
        keyed.update(part);
    }
    Some(keyed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_of_its_parts_alone() {
        let secret = [7; 32];
        let of = |parts: &[&[u8]]| mac(&secret, parts).unwrap();
        let right = of(&[b"ab", b"c"]);
        assert!(verify(&secret, &[b"ab", b"c"], &right));
        assert!(verify(&secret, &[b"ab", b"c"], &right[..16]), "half of it will do");
        assert!(!verify(&secret, &[b"ab", b"c"], &right[..15]), "less will not");
        assert!(!verify(&secret, &[b"ab", b"c"], b""));
        for other in [of(&[b"a", b"bc"]), of(&[b"abc"]), of(&[b"ab", b"c", b""])] {
            assert_ne!(other, right);
            assert!(!verify(&secret, &[b"ab", b"c"], &other));
        }
        assert!(!verify(&[8; 32], &[b"ab", b"c"], &right));
    }
}

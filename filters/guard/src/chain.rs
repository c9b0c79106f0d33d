//! The chain of a VM's records: each says how many there were and what the one before it was, so
//! that a log shows what is missing, what was changed and what stands at the wrong place.

use crate::keyring;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Bytes of a hash that are written.
const LEN: usize = 16;
/// What stands between a record and its own hash.
const HASH_FIELD: &str = r#","hash":""#;
/// What is hashed before a record, so that no hash of it is one of anything else.
const DOMAIN: &[u8] = b"meshfence/v1/record";

/// The hash of a record, the first half of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hash([u8; LEN]);

impl Hash {
    /// What stands for the record before the first one.
    pub const NOTHING: Self = Self([0; LEN]);

    /// The hash of the bytes of a record before `,"hash"`: with a key one that nobody makes who does
    /// not have it.
    pub(crate) fn of(secret: Option<&[u8]>, record: &[u8]) -> Option<Self> {
        let whole: [u8; keyring::MAC_LEN] = match secret {
            Some(secret) => keyring::mac(secret, &[DOMAIN, record])?,
            None => Sha256::new().chain_update(DOMAIN).chain_update(record).finalize().into(),
        };
        whole.first_chunk().copied().map(Self)
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where the next record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its number, from 1.
    pub(crate) seq: u64,
    /// The hash of the record before it.
    pub(crate) prev: Hash,
    /// How many records before it could not be written.
    pub(crate) lost: u64,
}

/// The records of one VM.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    written: u64,
    newest: Hash,
    lost: u64,
}

impl Chain {
    /// Where the next record stands.
    pub(crate) fn next(&self) -> Place {
        Place { seq: self.written.saturating_add(1), prev: self.newest, lost: self.lost }
    }

    /// The next record is written, and this is its hash.
    pub(crate) fn grow(&mut self, hash: Hash) {
        self.written = self.written.saturating_add(1);
        self.newest = hash;
        self.lost = 0;
    }

    /// A record could not be written. The next one says so.
    pub(crate) fn lose(&mut self) {
        self.lost = self.lost.saturating_add(1);
    }
}

/// Ends a record, a JSON object, with its hash.
pub(crate) fn seal(mut json: Vec<u8>, secret: Option<&[u8]>) -> Option<(Vec<u8>, Hash)> {
    if json.pop() != Some(b'}') {
        return None;
    }
    let hash = Hash::of(secret, &json)?;
    json.extend_from_slice(HASH_FIELD.as_bytes());
    json.extend_from_slice(hash.to_string().as_bytes());
    json.extend_from_slice(b"\"}");
    Some((json, hash))
}

/// Whether a record ends with its own hash: under this secret, or under none.
pub fn is_sealed(json: &str, secret: Option<&[u8]>) -> bool {
    let split = json.strip_suffix("\"}").and_then(|json| json.rsplit_once(HASH_FIELD));
    split.is_some_and(|(record, written)| {
        // Whoever may ask has the secret, so it does not matter how long the comparison takes.
        Hash::of(secret, record.as_bytes()).is_some_and(|hash| hash.to_string() == written)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    #[test]
    fn a_record_is_sealed_by_its_key_and_by_no_other() {
        for secret in [None, Some(&SECRET[..])] {
            let (json, hash) = seal(br#"{"id":"a","seq":1}"#.to_vec(), secret).unwrap();
            let json = String::from_utf8(json).unwrap();
            assert_eq!(json, format!(r#"{{"id":"a","seq":1,"hash":"{hash}"}}"#));
            assert!(is_sealed(&json, secret));
            for (other, why) in [
                (json.replace(r#""a""#, r#""b""#), "edited"),
                (json.replace(r#""seq":1"#, r#""seq":2"#), "moved"),
                (json.replace('}', " }"), "added to"),
                (json.replace(r#","hash""#, r#", "hash""#), "written otherwise"),
                (format!(r#"{{"id":"a","seq":1,"hash":"{}"}}"#, Hash::NOTHING), "another hash"),
                (String::from(r#"{"id":"a","seq":1}"#), "no hash"),
            ] {
                assert!(!is_sealed(&other, secret), "{why}: {other}");
            }
            let other = if secret.is_some() { None } else { Some(&SECRET[..]) };
            assert!(!is_sealed(&json, other));
            assert!(!is_sealed(&json, Some(&[8; 32])));
        }
        assert_eq!(seal(Vec::new(), None), None);
    }

    #[test]
    fn a_lost_record_takes_no_number() {
        let mut chain = Chain::default();
        let start = Place { seq: 1, prev: Hash::NOTHING, lost: 0 };
        assert_eq!(chain.next(), start);
        chain.lose();
        assert_eq!(chain.next(), Place { lost: 1, ..start });
        let hash = Hash([1; LEN]);
        chain.grow(hash);
        assert_eq!(chain.next(), Place { seq: 2, prev: hash, lost: 0 });
    }
}

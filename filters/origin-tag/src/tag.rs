//! The entity tag that stands for a version: what a client has read, and brings back.
//!
//! `"v1.<key id>.<version>.<MAC>"`, or with the newest versions of other regions that are in what was
//! read between the two. Clients see it as `ETag` and send it as `If-Match`; it is of the mesh if it
//! has exactly this form and its MAC is right, which is for whoever has the keys to say. Anything
//! else is the application's own.

use core::fmt;
use policy_core::SignedText;
use versions::{Stamp, VersionVector};

/// A longer one is none.
const LEN_MAX: usize = 400;
/// What a proxy puts before a tag when it compresses a body.
const WEAK: &[u8] = b"W/";

/// What was read: a version, and the newest versions of other regions in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The version that was read.
    pub version: Stamp,
    /// It together with what is in it.
    pub vector: VersionVector,
}

impl Seen {
    /// A version of which nothing else is known.
    pub fn of(version: Stamp) -> Self {
        Self { version, vector: VersionVector::of(version) }
    }

    /// A version together with a vector; nothing if that has no room for one more region.
    pub fn with(version: Stamp, vector: &VersionVector) -> Option<Self> {
        let mut vector = *vector;
        vector.observe(version).then_some(Self { version, vector })
    }
}

/// A tag as it is written: what of it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'t> {
    /// What its key is called.
    pub key: &'t str,
    /// What was read.
    pub seen: Seen,
}

impl<'t> Tag<'t> {
    /// Reads a tag of the mesh out of `If-Match`: itself, what is signed of it, and the MAC.
    pub fn parse(value: &'t [u8]) -> Option<(Self, &'t str, [u8; 16])> {
        let text = inner(value)?;
        let mut text = SignedText::parse(text)?;
        let key = text.key;
        let mut stamp = || text.part().map(|part| Stamp::parse(part.as_bytes()));
        let mut seen = Seen::of(stamp()??);
        while let Some(other) = stamp() {
            let other = other?;
            // In the one order in which they are written, and each region once.
            let is_new = seen.vector.get(other.code()).is_none();
            let last =
                seen.vector.iter().filter(|known| *known != seen.version).max_by_key(Stamp::code);
            let is_in_order = last.is_none_or(|last| last.code() < other.code());
            (is_new && is_in_order && seen.vector.observe(other)).then_some(())?;
        }
        let (signed, mac) = text.end()?;
        Some((Self { key, seen }, signed, mac))
    }

    /// Whether a value has the beginning of a tag of the mesh, so that no application has made it.
    pub fn is_ours(value: &[u8]) -> bool {
        inner(value).is_some_and(|text| text.starts_with("v1.") && text.len() > MINIMUM)
    }

    /// Whether a list of tags has one that looks like the mesh's.
    pub fn is_among(value: &[u8]) -> bool {
        let mut parts = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        parts.any(|tag| {
            let tag = tag.strip_prefix(WEAK).unwrap_or(tag);
            tag.starts_with(BEGINNING) && tag.len() > MINIMUM
        })
    }
}

/// How a tag of the mesh begins, with its quote.
const BEGINNING: &[u8] = b"\"v1.";

/// `v1.`, a key of one letter, a version and a MAC, with dots between them.
const MINIMUM: usize = 3 + 1 + 1 + Stamp::LEN + 1 + 32 - 1;

/// The text between the quotes of a single tag.
fn inner(value: &[u8]) -> Option<&str> {
    if value.len() > LEN_MAX {
        return None;
    }
    let value = value.strip_prefix(WEAK).unwrap_or(value);
    let text = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    core::str::from_utf8(text).ok().filter(|text| !text.contains('"'))
}

/// What is signed of it.
impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, seen } = self;
        write!(f, "v1.{key}.{}", seen.version)?;
        let others = seen.vector.iter().filter(|known| known.code() != seen.version.code());
        // A vector is in the order of its regions' codes.
        for other in others {
            write!(f, ".{other}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: &str = "00112233445566778899aabbccddeeff";
    const TPE: &str = "0000000000010000-tpe-00000001";
    const TYO: &str = "0000000000020000-tyo-00000002";

    fn stamp(text: &str) -> Stamp {
        Stamp::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_tag_has_one_form() {
        let alone = format!("v1.k1.{TYO}");
        let both = format!("v1.k1.{TYO}.{TPE}");
        let seen = Seen::with(stamp(TYO), &VersionVector::of(stamp(TPE))).unwrap();
        for (text, expected) in [(&alone, Seen::of(stamp(TYO))), (&both, seen)] {
            for value in [format!("\"{text}.{MAC}\""), format!("W/\"{text}.{MAC}\"")] {
                let (tag, signed, mac) = Tag::parse(value.as_bytes()).unwrap();
                assert_eq!((tag.key, tag.seen, signed), ("k1", expected, text.as_str()), "{value}");
                assert_eq!(mac[..2], [0x00, 0x11]);
                assert_eq!(tag.to_string(), *text);
                assert!(Tag::is_ours(value.as_bytes()));
            }
        }
        for (value, is_ours, why) in [
            (format!("\"v1.k1.{TYO}.{TYO}.{MAC}\""), true, "one region twice"),
            (format!("\"v1.k1.{TYO}.x.{MAC}\""), true, "what is no version"),
            (format!("\"v1.K1.{TYO}.{MAC}\""), true, "what is no key"),
            (format!("\"v1.k1.{TYO}.{}\"", MAC.to_uppercase()), true, "another form of the MAC"),
            (format!("\"v2.k1.{TYO}.{MAC}\""), false, "a form to come"),
            (format!("v1.k1.{TYO}.{MAC}"), false, "no quotes"),
            (format!("\"v1.k1.{TYO}.{MAC}\", \"a\""), false, "a list"),
            (format!("\"v1.k1.{TYO}.{MAC}.{}\"", "a".repeat(400)), false, "too long"),
            (String::from("*"), false, "anything"),
            (String::from("\"\""), false, "nothing"),
            (String::from("\"v1.2.3\""), false, "the number of a release"),
        ] {
            assert_eq!(Tag::parse(value.as_bytes()), None, "{why}: {value}");
            assert_eq!(Tag::is_ours(value.as_bytes()), is_ours, "{why}: {value}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Tag::parse(&value), None);
        }

        #[test]
        fn what_is_read_is_what_was_written(
            times in proptest::collection::btree_map("[a-z]{3}", (0..1_u64 << 40, any::<u32>()), 1..8),
            first in any::<proptest::sample::Index>(),
        ) {
            let stamps: Vec<Stamp> = times.iter().map(|(code, (ms, node))| {
                stamp(&format!("{ms:012x}0000-{code}-{node:08x}"))
            }).collect();
            let version = stamps[first.index(stamps.len())];
            let mut vector = VersionVector::new();
            for stamp in &stamps {
                prop_assert!(vector.observe(*stamp));
            }
            let seen = Seen::with(version, &vector).unwrap();
            let value = format!("\"{}.{MAC}\"", Tag { key: "k1", seen });
            let (tag, ..) = Tag::parse(value.as_bytes()).unwrap();
            prop_assert_eq!(tag.seen, seen);
        }
    }
}

//! What clients carry of versions, signed by a key of ours: the entity tag of what they have read,
//! and the newest version that they have seen.

use crate::header;
use crate::host::Headers;
use crate::keyring::{KeyRing, MAC_LEN, latest_expiry_s, mac, short, verify};
use arrayvec::ArrayString;
use core::fmt::{Display, Write as _};
use origin_tag::{Causal, CausalRefusal, Seen, Stamp, Tag};
use policy_core::{Pseudonym, SignedText};
use sha2::{Digest as _, Sha256};

const TAG: &[u8] = b"meshfence/v1/entity-tag";
const CAUSAL: &[u8] = b"meshfence/v1/causal";

/// The text of a carrier: no longer than the longest of them.
pub(crate) type Text = ArrayString<448>;

/// What a tag is bound to: one path, without its query, and one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding([u8; SignedText::MAC_LEN]);

impl Binding {
    /// What is at this path, as this subject sees it; nobody's if nobody is known.
    pub(crate) fn new(path: &[u8], subject: Option<Pseudonym>) -> Self {
        let subject = subject.map(|Pseudonym(bytes)| bytes);
        let mut hash = Sha256::new();
        // The subject has one length or none, so that no path can be taken for a part of it.
        hash.update([u8::from(subject.is_some())]);
        hash.update(subject.unwrap_or_default());
        hash.update(path);
        // As long as the MAC that it goes into.
        let hash: [u8; 32] = hash.finalize().into();
        Self(hash.first_chunk().copied().unwrap_or_default())
    }
}

/// What an `If-Match` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it lives no longer than it takes to look at it")]
pub(crate) enum IfMatch {
    /// What its bearer has read.
    Seen(Seen),
    /// It has the form of a tag of ours and is none: of another path, of somebody else, of a key that
    /// we have no more, or made up.
    Refused,
    /// It is the application's own.
    Foreign,
}

/// Reads the `If-Match` of a request, if it has one. A tag of ours that is not all of it proves nothing.
pub(crate) fn read_match(keys: &KeyRing, headers: &Headers, binding: Binding) -> Option<IfMatch> {
    let name = header::IF_MATCH.as_bytes();
    headers.first(name)?;
    let only = headers.only(name).map(|value| read_tag(keys, value, binding));
    match only {
        Some(IfMatch::Foreign) | None => {
            let mut values = headers.iter().filter(|(known, _)| *known == name);
            let is_ours = values.any(|(_, value)| Tag::is_among(value));
            Some(if is_ours { IfMatch::Refused } else { IfMatch::Foreign })
        }
        read => read,
    }
}

/// Reads one tag.
fn read_tag(keys: &KeyRing, value: &[u8], Binding(binding): Binding) -> IfMatch {
    if !Tag::is_ours(value) {
        return IfMatch::Foreign;
    }
    let read = || {
        let (tag, signed, mac) = Tag::parse(value)?;
        let secret = keys.find(tag.key)?.secret();
        verify(secret, &[TAG, signed.as_bytes(), &binding], &mac).then_some(tag.seen)
    };
    read().map_or(IfMatch::Refused, IfMatch::Seen)
}

/// The tag of what was read, with its quotes; nothing without a key.
pub(crate) fn tag(keys: &KeyRing, seen: Seen, binding: Binding) -> Option<Text> {
    let key = keys.first()?;
    tag_by(key.id(), key.secret(), seen, binding)
}

/// [`tag`], by the secret of a key.
pub(crate) fn tag_by(
    key: &str,
    secret: &[u8],
    seen: Seen,
    Binding(binding): Binding,
) -> Option<Text> {
    let mut text = Text::new();
    text.try_push('"').ok()?;
    let signed = written(&mut text, &Tag { key, seen })?;
    let mac = mac(secret, &[TAG, text.get(signed..)?.as_bytes(), &binding])?;
    push_mac(&mut text, &mac)?;
    text.try_push('"').ok()?;
    Some(text)
}

/// What a client says that it has seen, at this time in seconds since the Unix epoch. Nothing lasts
/// longer than `lifetime_s` from now.
pub(crate) fn read_causal(
    keys: &KeyRing,
    value: &[u8],
    now_s: u64,
    lifetime_s: u64,
) -> Result<Stamp, CausalRefusal> {
    let (causal, signed, mac) = Causal::parse(value).ok_or(CausalRefusal::Malformed)?;
    let key = keys.find(causal.key).ok_or(CausalRefusal::Forged)?;
    if !verify(key.secret(), &[CAUSAL, signed.as_bytes()], &mac) {
        return Err(CausalRefusal::Forged);
    }
    let is_over = causal.expiry_s <= now_s;
    let is_long = causal.expiry_s > latest_expiry_s(now_s, lifetime_s);
    if is_over || is_long { Err(CausalRefusal::Expired) } else { Ok(causal.version) }
}

/// What a client is to say that it has seen, until this time; nothing without a key.
pub(crate) fn causal(keys: &KeyRing, version: Stamp, expiry_s: u64) -> Option<Text> {
    let key = keys.first()?;
    causal_by(key.id(), key.secret(), version, expiry_s)
}

/// [`causal`], by the secret of a key.
pub(crate) fn causal_by(key: &str, secret: &[u8], version: Stamp, expiry_s: u64) -> Option<Text> {
    let mut text = Text::new();
    let signed = written(&mut text, &Causal { key, expiry_s, version })?;
    let mac = mac(secret, &[CAUSAL, text.get(signed..)?.as_bytes()])?;
    push_mac(&mut text, &mac)?;
    Some(text)
}

/// Writes what is signed, and says where it begins.
fn written(text: &mut Text, signed: &impl Display) -> Option<usize> {
    let start = text.len();
    write!(text, "{signed}").ok()?;
    Some(start)
}

fn push_mac(text: &mut Text, mac: &[u8; MAC_LEN]) -> Option<()> {
    write!(text, ".{}", short(mac)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::keys;

    const NOW_S: u64 = 1_732_483_200;

    fn stamp(text: &str) -> Stamp {
        Stamp::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_tag_is_of_one_path_and_one_subject() {
        let (keys, others) = (keys(&[("k1", 1), ("k2", 2)]), keys(&[("k1", 3)]));
        let rotated = self::keys(&[("k2", 2), ("k1", 1)]);
        let hana = Some(Pseudonym([7; 8]));
        let here = Binding::new(b"/profiles/1", hana);
        let seen = Seen::of(stamp("0192f3a4b5c60007-tyo-3fa29c1b"));
        let text = tag(&keys, seen, here).unwrap();
        let weak = format!("W/{text}");
        let two = format!("{text}, {text}");
        let other = text.replace("3fa29c1b", "3fa29c1c");
        for (keys, value, binding, expected, why) in [
            (&keys, &*text, here, IfMatch::Seen(seen), "as it was given"),
            (&rotated, &text, here, IfMatch::Seen(seen), "by a key that signs no more"),
            (&keys, &weak, here, IfMatch::Seen(seen), "after a proxy has compressed the body"),
            (&others, &text, here, IfMatch::Refused, "another secret"),
            (&keys, &text, Binding::new(b"/profiles/2", hana), IfMatch::Refused, "another path"),
            (&keys, &text, Binding::new(b"/profiles/1", None), IfMatch::Refused, "nobody known"),
            (&keys, &other, here, IfMatch::Refused, "another version"),
            (&keys, &two, here, IfMatch::Foreign, "a list"),
            (&keys, "*", here, IfMatch::Foreign, "anything"),
            (&keys, "\"33a64df5\"", here, IfMatch::Foreign, "the application's own"),
            (&keys, "\"v1.2\"", here, IfMatch::Foreign, "the application's own, by numbers"),
            (&keys, "", here, IfMatch::Foreign, "nothing"),
        ] {
            assert_eq!(read_tag(keys, value.as_bytes(), binding), expected, "{why}: {value}");
        }
        assert_eq!(tag(&KeyRing::default(), seen, here), None);
    }

    #[test]
    fn what_a_client_has_seen_is_believed_for_a_while() {
        let (keys, others) = (keys(&[("k1", 1)]), keys(&[("k1", 3)]));
        let version = stamp("0192f3a4b5c60007-tyo-3fa29c1b");
        let text = causal(&keys, version, NOW_S + 3_600).unwrap();
        let touched = text.replace("3fa29c1b", "ffffffff");
        for (keys, value, now_s, expected) in [
            (&keys, &*text, NOW_S, Ok(version)),
            (&keys, &text, NOW_S + 3_599, Ok(version)),
            (&keys, &text, NOW_S + 3_600, Err(CausalRefusal::Expired)),
            (&keys, &text, NOW_S - 60, Ok(version)),
            (&keys, &text, NOW_S - 61, Err(CausalRefusal::Expired)),
            (&others, &text, NOW_S, Err(CausalRefusal::Forged)),
            (&keys, &touched, NOW_S, Err(CausalRefusal::Forged)),
            (&keys, "v1.k1.1", NOW_S, Err(CausalRefusal::Malformed)),
        ] {
            assert_eq!(read_causal(keys, value.as_bytes(), now_s, 3_600), expected, "{value}");
        }
    }
}

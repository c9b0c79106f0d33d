//! What a client carries that a key of ours has signed: `v1.<key id>.<part>…<part>.<MAC>`.
//!
//! There is one form of it, byte for byte. Whether the MAC is right is for whoever has the keys to say.

use crate::hex::unhex;
use crate::policy::HmacKey;
use core::str::Split;

/// Digits of an expiry: until the year 5138.
const EXPIRY_DIGITS_MAX: usize = 11;

/// A text as it was signed, read part by part.
#[derive(Debug, Clone)]
pub struct SignedText<'t> {
    /// What its key is called.
    pub key: &'t str,
    /// What is signed: all of it but the MAC.
    pub signed: &'t str,
    /// The MAC.
    pub mac: [u8; SignedText::MAC_LEN],
    parts: Split<'t, char>,
}

impl<'t> SignedText<'t> {
    /// Bytes of a MAC that are written: half of one, which clients carry around.
    pub const MAC_LEN: usize = 16;

    /// Reads a text as far as all of them are alike.
    pub fn parse(text: &'t str) -> Option<Self> {
        let (signed, mac) = text.rsplit_once('.')?;
        let mac = unhex(mac.as_bytes())?;
        let mut parts = signed.split('.');
        (parts.next()? == "v1").then_some(())?;
        let key = parts.next().filter(|key| HmacKey::is_id(key))?;
        Some(Self { key, signed, mac, parts })
    }

    /// The next part, if there is one.
    pub fn part(&mut self) -> Option<&'t str> {
        self.parts.next()
    }

    /// The next part as seconds since the Unix epoch.
    pub fn expiry_s(&mut self) -> Option<u64> {
        let digits = self.part().filter(|digits| digits.len() <= EXPIRY_DIGITS_MAX)?;
        let is_number = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        digits.parse().ok().filter(|_| is_number)
    }

    /// Nothing may be left of it: what is signed, and the MAC.
    pub fn end(mut self) -> Option<(&'t str, [u8; SignedText::MAC_LEN])> {
        self.part().is_none().then_some((self.signed, self.mac))
    }
}

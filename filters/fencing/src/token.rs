//! The fencing token of a leased write.

use policy_core::{Fence, Lease, Token};
use std::fmt::Write as _;

/// The token as a structured header item with parameters (RFC 9651):
/// `orders;e=42;h=tokyo;s=taiwan~tokyo`, the shard only if the lease is split.
pub fn token(fence: &Fence<'_>, holder: &str) -> String {
    let mut token = String::with_capacity(64);
    // Writing into a String cannot fail.
    let _ = write!(token, "{};e={};h={holder}", fence.lease, fence.epoch);
    if let Some(shard) = fence.shard {
        let _ = write!(token, ";s={shard}");
    }
    token
}

/// A longer token is none.
const TOKEN_LEN_MAX: usize = 256;

/// Reads a token. It has the form that [`token`] writes and no other: what can be read in two ways
/// fences nothing.
pub fn parse(value: &[u8]) -> Option<Token<'_>> {
    let text = core::str::from_utf8(value).ok().filter(|text| text.len() <= TOKEN_LEN_MAX)?;
    let mut parts = text.split(';');
    let lease = parts.next().filter(|name| is_name(name))?;
    let digits = parts.next()?.strip_prefix("e=")?;
    let holder = parts.next()?.strip_prefix("h=").filter(|name| is_name(name))?;
    let shard = match parts.next() {
        Some(part) => Some(part.strip_prefix("s=").filter(|shard| is_shard(shard))?),
        None => None,
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    let epoch = digits.parse().ok().filter(|epoch| is_number && *epoch <= Lease::EPOCH_MAX)?;
    parts.next().is_none().then_some(Token { lease, shard, holder, epoch })
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_part)
}

/// Names of regions, joined as those of residency groups are.
fn is_shard(text: &str) -> bool {
    text.split(['~', '+']).all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_core::RegionId;

    #[test]
    fn a_token_names_lease_epoch_holder_and_shard() {
        let holder = RegionId::new(1).unwrap();
        for (shard, expected) in [
            (Some("taiwan~tokyo"), "orders;e=42;h=tokyo;s=taiwan~tokyo"),
            (None, "orders;e=42;h=tokyo"),
        ] {
            let fence = Fence { lease: "orders", shard, holder, epoch: 42 };
            assert_eq!(token(&fence, "tokyo"), expected);
            let read = Token { lease: "orders", shard, holder: "tokyo", epoch: 42 };
            assert_eq!(parse(expected.as_bytes()), Some(read));
        }
    }

    #[test]
    fn what_is_not_exactly_a_token_is_none() {
        for value in [
            "",
            "orders",
            "orders;e=42",
            "orders;h=tokyo;e=42",
            "orders; e=42; h=tokyo",
            "orders;e=042;h=tokyo",
            "orders;e=0;h=tokyo",
            "orders;e=-1;h=tokyo",
            "orders;e=+1;h=tokyo",
            "orders;e=;h=tokyo",
            "orders;e=1000000000000000;h=tokyo",
            "orders;e=99999999999999999999;h=tokyo",
            "orders;e=42;h=",
            "orders;e=42;h=tokyo;s=",
            "orders;e=42;h=tokyo;s=~tokyo",
            "orders;e=42;h=tokyo;s=tokyo;x=1",
            "orders;e=42;h=tokyo,orders;e=43;h=tokyo",
            "Orders;e=42;h=tokyo",
            ";e=42;h=tokyo",
        ] {
            assert_eq!(parse(value.as_bytes()), None, "{value}");
        }
        assert_eq!(parse(b"orders;e=42;h=\xff"), None);
        assert_eq!(parse(&[b'a'; 300]), None);
    }
}

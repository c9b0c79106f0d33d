//! What the client of a request carries of versions: signed values that an engine fills in.

use super::{TestCarried, TestRead, TestSeen};
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Spanned, quote};
use crate::duration::parse_ms;
use crate::fields::{Fields, Shape};
use crate::scope::Scope;
use crate::value::malformed;
use crate::yaml::{Content, Entry};

const READ: Shape =
    Shape { what: "`read`", keys: &["version", "others", "path", "sub", "key"], later: &[] };
const SEEN: Shape = Shape { what: "`seen`", keys: &["version", "expires", "key"], later: &[] };

/// For how long it is believed what a client has seen, where nothing is said.
const EXPIRES_MS: i64 = 600_000;

/// Reads `read` and `seen` of a request.
pub(super) fn decode(fields: &Fields<'_>, scope: &Scope, sink: &mut Sink) -> TestCarried {
    let read = fields.get("read").map(|entry| (entry, read(entry, sink)));
    let seen = fields.get("seen").map(|entry| (entry, seen(entry, sink)));
    let first = read.as_ref().map(|(entry, _)| entry).or(seen.as_ref().map(|(entry, _)| entry));
    if let Some(entry) = first.filter(|_| !scope.has_keys) {
        let message = format!("{} needs keys, and the mesh has none", entry.what());
        sink.push(
            Diagnostic::error(codes::SUBJECT_SOURCE, message)
                .at(entry.key.span)
                .help("add `hmac` to the `Mesh`"),
        );
    }
    TestCarried { read: read.and_then(|(_, read)| read), seen: seen.and_then(|(_, seen)| seen) }
}

fn read(entry: &Entry, sink: &mut Sink) -> Option<TestRead> {
    let plain = |version: String| TestRead { version, ..TestRead::default() };
    let Content::Mapping(_) = entry.value.content else {
        return version(entry, sink).map(plain);
    };
    let fields = Fields::open_at(&entry.value, entry.key.span, &READ, sink)?;
    let others = fields.get("others").map(|entry| {
        let items = entry.items(sink).unwrap_or_default().iter();
        let texts: Vec<_> = items.filter_map(|item| item.text(&entry.what(), sink)).collect();
        texts.into_iter().filter_map(|text| checked(&entry.what(), text, sink)).collect()
    });
    let path = fields.get("path").and_then(|entry| entry.text(sink));
    let sub = fields.get("sub").and_then(|entry| entry.text(sink));
    let key = fields.get("key").and_then(|entry| entry.text(sink));
    Some(TestRead {
        version: fields.need("version", sink).and_then(|entry| version(entry, sink))?,
        others: others.unwrap_or_default(),
        path: path.map(|text| text.value),
        sub: sub.map(|text| text.value),
        key: key.map(|text| text.value),
    })
}

fn seen(entry: &Entry, sink: &mut Sink) -> Option<TestSeen> {
    let plain = |version: String| TestSeen { version, expires_ms: EXPIRES_MS, key: None };
    let Content::Mapping(_) = entry.value.content else {
        return version(entry, sink).map(plain);
    };
    let fields = Fields::open_at(&entry.value, entry.key.span, &SEEN, sink)?;
    let expires = fields.get("expires").map(|entry| from_now_ms(entry, sink));
    let key = fields.get("key").and_then(|entry| entry.text(sink));
    Some(TestSeen {
        version: fields.need("version", sink).and_then(|entry| version(entry, sink))?,
        expires_ms: match expires {
            None => EXPIRES_MS,
            Some(expires) => expires?,
        },
        key: key.map(|text| text.value),
    })
}

/// A duration from now, in milliseconds; with a `-` before it, one that is over.
pub(super) fn from_now_ms(entry: &Entry, sink: &mut Sink) -> Option<i64> {
    let text = entry.text(sink)?;
    let (sign, rest) = match text.value.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.value.as_str()),
    };
    let ms = parse_ms(rest).and_then(|ms| i64::try_from(ms).ok());
    let ms = ms.and_then(|ms| ms.checked_mul(sign));
    if ms.is_none() {
        let message = format!("{} cannot be {}", entry.what(), quote(&text.value));
        sink.push(
            Diagnostic::error(codes::DURATION, message)
                .at(text.span)
                .help("a duration from now is written as `1h`, one that is over as `-1h`"),
        );
    }
    ms
}

fn version(entry: &Entry, sink: &mut Sink) -> Option<String> {
    let text = entry.text(sink)?;
    checked(&entry.what(), text, sink)
}

fn checked(what: &str, text: Spanned<String>, sink: &mut Sink) -> Option<String> {
    if !is_version(&text.value) {
        let help = "a version is written as `0192f3a4b5c60007-tyo-3fa29c1b`";
        sink.push(malformed(what, &text, help));
        return None;
    }
    Some(text.value)
}

/// Whether a text has the form of a version: `<ms:12 hex><counter:4 hex>-<code>-<node:8 hex>`.
fn is_version(text: &str) -> bool {
    let is_hex =
        |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let parts: Vec<&str> = text.split('-').collect();
    let [time, code, node] = parts.as_slice() else { return false };
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_lowercase());
    time.len() == 16 && is_hex(time) && is_code && node.len() == 8 && is_hex(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_form() {
        for (text, expected) in [
            ("0192f3a4b5c60007-tyo-3fa29c1b", true),
            ("0192F3a4b5c60007-tyo-3fa29c1b", false),
            ("0192f3a4b5c60007-TYO-3fa29c1b", false),
            ("0192f3a4b5c6000-tyo-3fa29c1b", false),
            ("0192f3a4b5c60007-tyo-3fa29c1", false),
            ("0192f3a4b5c60007-tyo-3fa29c1b-", false),
            ("", false),
        ] {
            assert_eq!(is_version(text), expected, "{text}");
        }
    }
}

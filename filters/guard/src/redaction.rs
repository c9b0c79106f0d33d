//! A response that may not be seen whole: what it takes to redact it, and what cannot be.
//!
//! The body is taken out of the proxy piece by piece as it arrives and put back, redacted, at its
//! end, so that nothing of it leaves before all of it has been read. Most of what cannot be redacted
//! shows in the headers, and is refused there. What shows later is refused as well if the headers
//! have been held; otherwise they have left, and the response is cut off behind them.

use crate::guard::InForce;
use crate::header;
use crate::host::{Headers, Host, HostFault};
use crate::keyring::{self, Key};
use crate::stream::{Flow, Passed};
use policy_core::{Policy, ProfileSet};
use residency::{Impossible, Redacted, Redactor, Rules};
use std::collections::BTreeMap;

/// What a hash of a value is for, so that it is no signature of anything.
const HASH_LABEL: &[u8] = b"meshfence/v1/redact";

/// What a response says as long as nobody knows how much of it is redacted.
const REDACTED: &[u8] = b"yes";

/// Request headers that ask for a part of a response, or for one only if it has changed: what is
/// asked about is not what the caller gets.
const CONDITIONS: [&[u8]; 4] = [b"range", b"if-range", b"if-none-match", b"if-modified-since"];

/// Response headers that are true of the bytes as they came, and of no others.
const OF_THE_BYTES: [&[u8]; 10] = [
    b"accept-ranges",
    b"content-digest",
    b"content-length",
    b"content-md5",
    b"digest",
    b"etag",
    b"last-modified",
    b"repr-digest",
    b"signature",
    b"signature-input",
];

/// A response cannot be redacted: by what it is, or because the proxy did not do what that takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unredacted;

impl From<HostFault> for Unredacted {
    fn from(_: HostFault) -> Self {
        Self
    }
}

impl From<Impossible> for Unredacted {
    fn from(_: Impossible) -> Self {
        Self
    }
}

/// What becomes of the body of a response.
#[derive(Debug, Default)]
pub(crate) enum Body {
    /// It goes on as it comes.
    #[default]
    Whole,
    /// It is being redacted.
    Redacting(Box<Redactor>),
    /// It has been redacted, so many values of it by each profile; nothing follows.
    Redacted(BTreeMap<usize, u32>),
}

impl Body {
    /// The redactor, if there is one; until it is put back nothing more may follow.
    fn begin_step(&mut self) -> Option<Redactor> {
        match self {
            Self::Whole | Self::Redacted(_) => None,
            Self::Redacting(_) => match std::mem::replace(self, Self::Redacted(BTreeMap::new())) {
                Self::Redacting(redactor) => Some(*redactor),
                Self::Whole | Self::Redacted(_) => None,
            },
        }
    }
}

/// Prepares a request whose response will be redacted, if it will: an upstream that can answer in
/// plain JSON, and in one piece, has to know that it is asked to.
pub(crate) fn prepare(
    redact: ProfileSet,
    headers: &Headers,
    host: &mut impl Host,
) -> Result<(), HostFault> {
    if redact.is_empty() {
        return Ok(());
    }
    let asks = |(name, _): &(&[u8], &[u8])| CONDITIONS.contains(name);
    for (name, _) in headers.iter().filter(asks) {
        host.remove_request_header(name)?;
    }
    host.set_request_header("accept-encoding", b"identity")
}

/// Takes on a response: refuses what cannot be redacted, and takes away what would tell of the body
/// as it was.
pub(crate) fn on_headers(
    policy: &Policy,
    passed: &mut Passed,
    headers: &Headers,
    end_of_stream: bool,
    host: &mut impl Host,
) -> Result<Flow, Unredacted> {
    let (profiles, of) = (policy.profiles(), passed.redact);
    let may_follow = !end_of_stream;
    if may_follow && !Form::read(headers).can_be_redacted(profiles.body_max()) {
        return Err(Unredacted);
    }
    let goes = |name: &[u8]| OF_THE_BYTES.contains(&name) || profiles.take_header(of, name);
    for name in once(headers, goes) {
        host.remove_response_header(name)?;
    }
    host.set_response_header("cache-control", b"private, no-store")?;
    if !may_follow {
        passed.body = Body::Redacted(of.iter().map(|profile| (profile, 0)).collect());
        host.set_response_header(header::REDACTED, b"0")?;
        return Ok(Flow::Continue);
    }
    host.set_response_header(header::REDACTED, REDACTED)?;
    passed.body = Body::Redacting(Box::new(Redactor::new(profiles, of)));
    Ok(if policy.holds_response_headers() { Flow::Pause } else { Flow::Continue })
}

/// Takes a piece of the body, and gives back all of it at its end.
pub(crate) fn on_body(
    force: &InForce,
    passed: &mut Passed,
    size: usize,
    end_of_stream: bool,
    host: &mut impl Host,
) -> Result<Flow, Unredacted> {
    let redactor = match passed.body.begin_step() {
        Some(redactor) => redactor,
        None if size > 0 && matches!(passed.body, Body::Redacted(_)) => return Err(Unredacted),
        None => return Ok(Flow::Continue),
    };
    let redactor = if size == 0 {
        redactor
    } else {
        let piece = take(force, size, host)?;
        with_rules(force, passed.redact, |rules| redactor.push(rules, &piece))?
    };
    if end_of_stream {
        return finish(force, passed, redactor, usize::MAX, host);
    }
    passed.body = Body::Redacting(Box::new(redactor));
    Ok(Flow::Pause)
}

/// The most that is given back before trailers. There it waits in the buffer of the stream, which
/// holds as much as the stream's window, 65 535 bytes at least; Envoy resets a stream whose buffer
/// runs over, and does not survive that in the middle of a call of a plugin's.
const BEFORE_TRAILERS_MAX: usize = 65_535;

/// Cleans trailers as headers are cleaned, and gives back the body: with trailers it has no other
/// end.
pub(crate) fn on_trailers(
    force: &InForce,
    passed: &mut Passed,
    host: &mut impl Host,
) -> Result<Flow, Unredacted> {
    let Some(redactor) = passed.body.begin_step() else { return Ok(Flow::Continue) };
    let (profiles, of) = (force.policy.profiles(), passed.redact);
    let trailers = host.response_trailers().ok_or(Unredacted)?;
    let goes = |name: &[u8]| {
        let is_reserved = header::starts_with(name, header::PREFIX);
        is_reserved || OF_THE_BYTES.contains(&name) || profiles.take_header(of, name)
    };
    for name in once(&trailers, goes) {
        host.remove_response_trailer(name)?;
    }
    finish(force, passed, redactor, BEFORE_TRAILERS_MAX, host)
}

/// Takes a piece of the body out of the proxy. One that is larger than a whole body may be is not
/// even looked at.
fn take(force: &InForce, size: usize, host: &mut impl Host) -> Result<Vec<u8>, Unredacted> {
    if size > force.policy.profiles().body_max() {
        return Err(Unredacted);
    }
    let piece = host.response_body(size).filter(|piece| piece.len() == size).ok_or(Unredacted)?;
    host.replace_response_body(size, b"")?;
    Ok(piece)
}

fn finish(
    force: &InForce,
    passed: &mut Passed,
    redactor: Redactor,
    most: usize,
    host: &mut impl Host,
) -> Result<Flow, Unredacted> {
    let Redacted { body, counts } =
        with_rules(force, passed.redact, |rules| redactor.finish(rules))?;
    if body.len() > most {
        return Err(Unredacted);
    }
    if !body.is_empty() {
        host.replace_response_body(0, &body)?;
    }
    let count = counts.values().fold(0_u32, |sum, count| sum.saturating_add(*count));
    passed.body = Body::Redacted(counts);
    if force.policy.holds_response_headers() {
        // Without the number it still says that there is one.
        let _ = host.set_response_header(header::REDACTED, count.to_string().as_bytes());
    }
    Ok(Flow::Continue)
}

fn with_rules<T>(force: &InForce, of: ProfileSet, act: impl FnOnce(&Rules<'_>) -> T) -> T {
    let hash = |text: &[u8]| {
        let secret = force.keys.first().map(Key::secret)?;
        let mac = keyring::mac(secret, &[HASH_LABEL, text])?;
        mac.first_chunk().copied()
    };
    act(&Rules { profiles: force.policy.profiles(), of, hash: &hash })
}

/// The names of some headers, each once.
fn once(headers: &Headers, goes: impl Fn(&[u8]) -> bool) -> Vec<&[u8]> {
    let mut names: Vec<&[u8]> = Vec::new();
    for (name, _) in headers.iter().filter(|(name, _)| goes(name)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whether another guard says that it has redacted a response.
pub(crate) fn is_mark(value: &[u8]) -> bool {
    let is_count = (1..=10).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    is_count || value == REDACTED
}

/// What the headers of a response say of its body.
#[derive(Debug, Default)]
struct Form<'h> {
    status: &'h [u8],
    content_type: Option<&'h [u8]>,
    /// Something that rules it out: a part of a body, a coding, a header that stands twice.
    is_other: bool,
    length: Option<&'h [u8]>,
}

impl<'h> Form<'h> {
    fn read(headers: &'h Headers) -> Self {
        let mut form = Self::default();
        for (name, value) in headers.iter() {
            match name {
                b":status" => form.status = value,
                b"content-type" => form.is_other |= form.content_type.replace(value).is_some(),
                b"content-length" => form.is_other |= form.length.replace(value).is_some(),
                b"content-encoding" => form.is_other |= !is(value, "identity"),
                b"content-range" => form.is_other = true,
                _ => {}
            }
        }
        form
    }

    fn can_be_redacted(&self, body_max: usize) -> bool {
        let length = self.length.map(|digits| core::str::from_utf8(digits).ok()?.parse().ok());
        let is_long =
            length.is_some_and(|length: Option<usize>| length.is_none_or(|n| n > body_max));
        match self.status {
            b"206" => false,
            // These have no body; what comes all the same is read as one.
            b"204" | b"304" => true,
            _ => !self.is_other && !is_long && self.content_type.is_some_and(is_json),
        }
    }
}

/// Whether a media type is JSON in UTF-8 (RFC 8259, RFC 6839).
fn is_json(content_type: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(content_type) else { return false };
    // Two values that the proxy has joined are no media type.
    if text.contains(',') {
        return false;
    }
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let subtype = media.strip_prefix("application/");
    subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

fn is(value: &[u8], word: &str) -> bool {
    value.trim_ascii().eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf8_is_json() {
        for (content_type, json) in [
            ("application/json", true),
            ("Application/JSON", true),
            ("application/json; charset=utf-8", true),
            ("application/json;charset=\"UTF-8\"", true),
            ("application/json; charset=utf-8; charset=utf-16", false),
            ("application/json; charset=latin1", false),
            ("application/json; Charset = utf-16", false),
            ("application/json; profile=\"x\"", true),
            ("application/problem+json", true),
            ("application/vnd.shop.v1+json; q=1", true),
            ("application/json, text/plain", false),
            ("application/jsonp", false),
            ("application/x-ndjson", false),
            ("application/json-seq", false),
            ("application/grpc", false),
            ("application/grpc+json-", false),
            ("text/json", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(is_json(content_type.as_bytes()), json, "{content_type}");
        }
        assert!(!is_json(b"application/json\xff"));
    }

    #[test]
    fn a_mark_is_a_number_or_the_word() {
        for (value, mark) in [
            ("0", true),
            ("4294967295", true),
            ("yes", true),
            ("", false),
            ("-1", false),
            ("no", false),
        ] {
            assert_eq!(is_mark(value.as_bytes()), mark, "{value}");
        }
    }
}

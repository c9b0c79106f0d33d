//! What a request asks the application to answer. Pure, so that a model of the application answers
//! as the application does.

use super::is_grpc;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::Write as _;

/// The largest body that is answered.
pub const ANSWER_LIMIT: usize = 4 << 20;
const CHUNKS_MAX: usize = 10_000;
const KEY_BYTES_MAX: usize = 64;

/// What is refused of a key.
pub(super) const BAD_KEY: &str = "a key is 1 to 64 letters, digits, `.`, `_`, `~` or `-`";

/// Names in lower case, and values.
pub type Pairs = Vec<(String, Vec<u8>)>;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    status: u16,
    is_grpc: bool,
    content_type: Option<Vec<u8>>,
    headers: Pairs,
    body: Option<Vec<u8>>,
    repeat: Option<usize>,
    is_gzip: bool,
    chunks: Option<usize>,
    trailers: Pairs,
    pub(super) hold: Option<String>,
    pub(super) hold_body: Option<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, without the framing.
    pub headers: Pairs,
    /// The body, in the pieces that it is sent in.
    pub pieces: Vec<Vec<u8>>,
    /// Whether the pieces are chunks, whose number and length nobody is told before.
    pub is_chunked: bool,
    /// The trailers.
    pub trailers: Pairs,
}

/// Whether something may be a key: exactly the characters that never need encoding in a query.
pub(super) fn is_key(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
    (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(plain)
}

// === impl Asked ===

impl Asked {
    /// Reads what the headers of a request ask for; names are in lower case.
    ///
    /// # Errors
    /// That they ask for something impossible; what the application says of that, as a 400.
    pub fn read<'h>(
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        body: &[u8],
    ) -> Result<Self, &'static str> {
        let mut asked = Self {
            status: 200,
            is_grpc: false,
            content_type: None,
            headers: Vec::new(),
            body: None,
            repeat: None,
            is_gzip: false,
            chunks: None,
            trailers: Vec::new(),
            hold: None,
            hold_body: None,
        };
        for (name, value) in headers {
            match name {
                "content-type" => asked.is_grpc = is_grpc(value),
                "echo-status" => {
                    // An interim status is no answer.
                    asked.status = number(value, 200, 999)
                        .and_then(|status| u16::try_from(status).ok())
                        .ok_or("echo-status is no final HTTP status")?;
                }
                "echo-header" => asked
                    .headers
                    .push(header_pair(value).ok_or("echo-header is not of the form name=value")?),
                "echo-trailer" => asked
                    .trailers
                    .push(header_pair(value).ok_or("echo-trailer is not of the form name=value")?),
                "echo-content-type" => asked.content_type = Some(value.to_vec()),
                "echo-body" if value == b"request" => asked.body = Some(body.to_vec()),
                "echo-body" => asked.body = Some(value.to_vec()),
                "echo-repeat" => {
                    let times = number(value, 1, ANSWER_LIMIT);
                    asked.repeat = Some(times.ok_or("echo-repeat is no number of times")?);
                }
                "echo-chunks" => {
                    let chunks = number(value, 1, CHUNKS_MAX);
                    asked.chunks = Some(chunks.ok_or("echo-chunks is no number of chunks")?);
                }
                "echo-encoding" if value == b"gzip" => asked.is_gzip = true,
                "echo-encoding" => return Err("echo-encoding is gzip"),
                "echo-hold" => asked.hold = Some(key(value)?),
                "echo-hold-body" => asked.hold_body = Some(key(value)?),
                _ => {}
            }
        }
        Ok(asked)
    }

    /// The answer to a request of which this is told, unless it asks for another body.
    ///
    /// # Errors
    /// That the body would be too large; what the application says of that, as a 400.
    pub fn answer(&self, told: &Value) -> Result<Answer, &'static str> {
        const TOO_LARGE: &str = "the body that is asked for is larger than 4 MiB";
        let one = self.body.clone().unwrap_or_else(|| told.to_string().into_bytes());
        let mut body = match self.repeat {
            None => one,
            Some(times) => {
                let length = one.len().saturating_add(1).saturating_mul(times);
                if length > ANSWER_LIMIT {
                    return Err(TOO_LARGE);
                }
                [&b"["[..], &vec![one; times].join(&b','), b"]"].concat()
            }
        };
        if body.len() > ANSWER_LIMIT {
            return Err(TOO_LARGE);
        }
        if self.is_grpc {
            // Not compressed, and its length: a unary client insists on one message.
            let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
            body = [&[0][..], &length, &body].concat();
        }
        let kind: &[u8] = if self.is_grpc { b"application/grpc" } else { b"application/json" };
        let kind = self.content_type.clone().unwrap_or_else(|| kind.to_vec());
        let mut headers = vec![("content-type".to_owned(), kind)];
        if self.is_gzip {
            body = gzip(&body);
            headers.push(("content-encoding".to_owned(), b"gzip".to_vec()));
        }
        let mut trailers = self.trailers.clone();
        if !trailers.is_empty() {
            // With HTTP/1.1 a client is told before.
            let names: Vec<&str> = trailers.iter().map(|(name, _)| name.as_str()).collect();
            headers.push(("trailer".to_owned(), names.join(", ").into_bytes()));
        }
        if self.is_grpc && !trailers.iter().any(|(name, _)| name == "grpc-status") {
            trailers.push(("grpc-status".to_owned(), b"0".to_vec()));
        }
        headers.extend(self.headers.iter().cloned());
        let is_chunked = self.chunks.is_some() || !trailers.is_empty() || self.hold_body.is_some();
        let least = if self.hold_body.is_some() { 2 } else { 1 };
        let pieces = cut(body, self.chunks.unwrap_or(1).max(least));
        if matches!(self.status, 204 | 304) {
            let (pieces, trailers) = (Vec::new(), Vec::new());
            return Ok(Answer {
                status: self.status,
                headers,
                pieces,
                is_chunked: false,
                trailers,
            });
        }
        Ok(Answer { status: self.status, headers, pieces, is_chunked, trailers })
    }
}

fn number(digits: &[u8], least: usize, most: usize) -> Option<usize> {
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (least..=most).contains(&number).then_some(number)
}

fn key(value: &[u8]) -> Result<String, &'static str> {
    let key = std::str::from_utf8(value).ok().filter(|key| is_key(key));
    key.map(str::to_owned).ok_or(BAD_KEY)
}

fn header_pair(pair: &[u8]) -> Option<(String, Vec<u8>)> {
    let at = pair.iter().position(|b| *b == b'=')?;
    let (name, value) = (pair.get(..at)?, pair.get(at + 1..)?);
    let name = http::HeaderName::from_bytes(name.trim_ascii()).ok()?;
    let value = http::HeaderValue::from_bytes(value.trim_ascii()).ok()?;
    // Framing belongs to the connection: a test that sets it would get no answer at all.
    let framing = matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection");
    (!framing).then(|| (name.as_str().to_owned(), value.as_bytes().to_vec()))
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing into a Vec does not fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

/// A body in so many pieces of one length, but for the last. One that is shorter has fewer.
fn cut(body: Vec<u8>, pieces: usize) -> Vec<Vec<u8>> {
    if pieces <= 1 || body.is_empty() {
        return if body.is_empty() { Vec::new() } else { vec![body] };
    }
    body.chunks(body.len().div_ceil(pieces)).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use serde_json::json;
    use std::io::Read as _;

    fn answer(headers: &[(&str, &str)], body: &str) -> Result<Answer, &'static str> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        Asked::read(headers, body.as_bytes())?.answer(&json!({"told": true}))
    }

    #[test]
    fn a_body_is_what_is_asked_for() {
        for (headers, body) in [
            (&[][..], &["{\"told\":true}"][..]),
            (&[("echo-body", "{\"a\": 1}")], &["{\"a\": 1}"]),
            (&[("echo-body", "request")], &["sent"]),
            (&[("echo-body", "1"), ("echo-repeat", "3")], &["[1,1,1]"]),
            (&[("echo-body", "abcdefgh"), ("echo-chunks", "3")], &["abc", "def", "gh"]),
            (&[("echo-body", "ab"), ("echo-chunks", "9")], &["a", "b"]),
            (&[("echo-body", "abc"), ("echo-hold-body", "k")], &["ab", "c"]),
            (&[("echo-body", "a"), ("echo-status", "304")], &[]),
            (&[("echo-body", "a"), ("content-type", "application/grpc")], &["\0\0\0\0\u{1}a"]),
        ] {
            let answer = answer(headers, "sent").unwrap();
            let pieces: Vec<_> = answer.pieces.iter().map(|p| String::from_utf8_lossy(p)).collect();
            assert_eq!(pieces, body, "{headers:?}");
        }
    }

    #[test]
    fn a_body_is_compressed_as_a_whole() {
        let answer = answer(&[("echo-body", "aaaaaaaaaa"), ("echo-encoding", "gzip")], "").unwrap();
        assert!(answer.headers.contains(&("content-encoding".into(), b"gzip".to_vec())));
        let mut text = String::new();
        GzDecoder::new(&answer.pieces.concat()[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "aaaaaaaaaa");
    }

    #[test]
    fn trailers_are_told_before() {
        let asked = [("echo-trailer", "x-sum=1"), ("echo-trailer", "X-B=a=b")];
        let answer = answer(&asked, "").unwrap();
        assert!(answer.is_chunked);
        assert!(answer.headers.contains(&("trailer".into(), b"x-sum, x-b".to_vec())));
        let expected = [("x-sum".into(), b"1".to_vec()), ("x-b".into(), b"a=b".to_vec())];
        assert_eq!(answer.trailers, expected);
    }

    #[test]
    fn what_is_impossible_is_refused() {
        for (name, value) in [
            ("echo-status", "99"),
            ("echo-status", "100"),
            ("echo-status", "ok"),
            ("echo-header", "novalue"),
            ("echo-header", "a b=c"),
            ("echo-header", "content-length=3"),
            ("echo-trailer", "novalue"),
            ("echo-repeat", "0"),
            ("echo-repeat", "4194304"),
            ("echo-chunks", "0"),
            ("echo-chunks", "many"),
            ("echo-encoding", "br"),
            ("echo-hold", ""),
            ("echo-hold-body", "a b"),
        ] {
            assert!(answer(&[(name, value)], "").is_err(), "{name}: {value}");
        }
    }
}

//! Anything at all, as text that a person can read and a fuzzer can change: any bytes are a script.
//!
//! ```text
//! at peer tokyo                     the attachment; edge in Taiwan unless said
//! > :method: POST                   a header of the request; none is there unless said
//! +> some bytes                     a part of its body
//! .> x-checksum: 1                  a trailer
//! = response/flags = uint 32        an attribute of the stream
//! < :status: 421                    a header of the response
//! +< some bytes                     a part of its body
//! .< grpc-status: 0                 a trailer
//! fail refused                      no response: refused, reset, timeout, no-host, or cut short
//! call proxy_on_queue_ready 7       a callback that nobody asked for
//! again                             the next request, over the same proxy
//! ```
//!
//! In a text, `\x00` is a byte, `\n` a line's end, `\{900}` as many of the byte before, and a line
//! that begins with `*900 ` behind its mark counts as many times. Other lines say nothing.

use policy_core::Role;
use wasm_host::{Answer, Failure, Headers, Response, Value};

/// More requests than these are not sent.
const EXCHANGES_MAX: usize = 4;
/// Lines of one script, after repetition.
const LINES_MAX: usize = 3000;
/// Bytes of all its texts.
const SIZE_MAX: usize = 1 << 20;
/// Bytes of one text, after repetition.
const TEXT_MAX: usize = 70_000;
const CALLS_MAX: usize = 32;

/// The callbacks of a root that a script may call. `proxy_on_http_call_response` is not among them:
/// the SDK's dispatcher panics at a token that it did not hand out, and Envoy has none but those.
pub const CALLBACKS: [&str; 7] = [
    "proxy_on_tick",
    "proxy_on_queue_ready",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_grpc_close",
    "proxy_on_foreign_function",
];

/// A request and what comes back.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    /// The request's headers.
    pub headers: Headers,
    /// The parts of its body.
    pub body: Vec<Vec<u8>>,
    /// Its trailers.
    pub trailers: Option<Headers>,
    /// Attributes of its stream.
    pub attributes: Vec<(Vec<String>, Value)>,
    /// Headers of the response.
    pub response: Headers,
    /// The parts of its body.
    pub response_body: Vec<Vec<u8>>,
    /// Its trailers.
    pub response_trailers: Option<Headers>,
    /// How there is none.
    pub failure: Option<Missing>,
    /// Callbacks that come before the request.
    pub calls: Vec<(&'static str, Vec<u32>)>,
}

/// How there is no whole response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// There is none.
    Failed(Failure),
    /// It breaks off.
    Cut,
}

/// What to do.
#[derive(Debug, Clone)]
pub struct Script {
    /// As what the module is attached.
    pub role: Role,
    /// Whether that is in Tokyo.
    pub in_tokyo: bool,
    /// What is sent.
    pub exchanges: Vec<Exchange>,
}

impl Script {
    /// Reads a script. There is none that cannot be read.
    pub fn read(bytes: &[u8]) -> Self {
        let mut script = Self { role: Role::Edge, in_tokyo: false, exchanges: Vec::new() };
        let mut now = Exchange::default();
        let (mut lines, mut size) = (0_usize, 0_usize);
        for line in bytes.split(|byte| *byte == b'\n') {
            let (mark, rest) = cut(line, b' ').unwrap_or((line, b""));
            let (times, rest) = repeated(rest);
            lines = lines.saturating_add(times);
            size = size.saturating_add(times.saturating_mul(text(rest).len()));
            if lines > LINES_MAX || size > SIZE_MAX {
                break;
            }
            for _ in 0..times {
                if mark == b"again" {
                    script.exchanges.push(std::mem::take(&mut now));
                } else if mark == b"at" {
                    script.attach(rest);
                } else {
                    now.read(mark, rest);
                }
            }
        }
        script.exchanges.push(now);
        script.exchanges.truncate(EXCHANGES_MAX);
        script
    }

    fn attach(&mut self, rest: &[u8]) {
        let text = String::from_utf8_lossy(rest);
        let mut words = text.split(' ');
        if let Some(role) = words.next().and_then(Role::parse) {
            self.role = role;
        }
        self.in_tokyo = words.next() == Some("tokyo");
    }
}

impl Exchange {
    fn read(&mut self, mark: &[u8], rest: &[u8]) {
        match mark {
            b">" => put(&mut self.headers, rest),
            b"+>" => self.body.push(text(rest)),
            b".>" => put(self.trailers.get_or_insert_default(), rest),
            b"<" => put(&mut self.response, rest),
            b"+<" => self.response_body.push(text(rest)),
            b".<" => put(self.response_trailers.get_or_insert_default(), rest),
            b"=" => self.attributes.extend(attribute(rest)),
            b"fail" => {
                self.failure = Some(match rest {
                    b"reset" => Missing::Failed(Failure::Reset),
                    b"timeout" => Missing::Failed(Failure::Timeout),
                    b"no-host" => Missing::Failed(Failure::NoHealthyHost),
                    b"cut" => Missing::Cut,
                    _ => Missing::Failed(Failure::Refused),
                });
            }
            b"call" if self.calls.len() < CALLS_MAX => self.calls.extend(call(rest)),
            _ => {}
        }
    }

    /// What comes back.
    pub fn answer(&self) -> Answer {
        self.answer_or(None)
    }

    /// What comes back. A response that says no header has those of another one.
    pub fn answer_or(&self, base: Option<&Self>) -> Answer {
        let mut headers = match base {
            Some(base) if self.response.is_empty() => base.response.clone(),
            _ => self.response.clone(),
        };
        let status = headers.text(":status").and_then(|status| status.parse().ok());
        headers.remove(":status");
        let mut response = Response::new(status.unwrap_or(200));
        response.headers = headers;
        response.body.clone_from(&self.response_body);
        response.trailers.clone_from(&self.response_trailers);
        match self.failure {
            None => response.into(),
            Some(Missing::Failed(failure)) => failure.into(),
            Some(Missing::Cut) => Answer::Cut(response, std::time::Duration::ZERO),
        }
    }
}

fn cut(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == at)?;
    let (before, after) = bytes.split_at(place);
    Some((before, after.get(1..)?))
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `*900 rest`
fn repeated(rest: &[u8]) -> (usize, &[u8]) {
    let counted = rest.strip_prefix(b"*").and_then(|rest| {
        let (digits, rest) = cut(rest, b' ')?;
        Some((number(digits)?.min(LINES_MAX), rest))
    });
    counted.unwrap_or((1, rest))
}

/// A text without its escapes.
fn text(mut rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let Some((escape, after)) = after.split_first() else { break };
        match escape {
            b'n' => bytes.push(b'\n'),
            b'x' => {
                let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                if let Some(byte) = byte {
                    bytes.push(byte);
                    rest = after.get(2..).unwrap_or_default();
                    continue;
                }
            }
            b'{' => {
                let counted = cut(after, b'}');
                let times = counted.and_then(|(digits, _)| number(digits)).unwrap_or_default();
                let last = bytes.last().copied().unwrap_or(b'a');
                bytes.extend(std::iter::repeat_n(last, times.min(TEXT_MAX)));
                bytes.truncate(TEXT_MAX);
                rest = counted.map_or(after, |(_, rest)| rest);
                continue;
            }
            other => bytes.push(*other),
        }
        rest = after;
    }
    bytes
}

/// `name: value`; a name may begin with a colon.
fn put(headers: &mut Headers, rest: &[u8]) {
    let start = usize::from(rest.starts_with(b":"));
    let colon = rest.iter().skip(start).position(|byte| *byte == b':');
    let place = colon.map_or(rest.len(), |place| place.saturating_add(start));
    let (name, value) = rest.split_at(place);
    let value = value.strip_prefix(b":").unwrap_or(value);
    let value = value.strip_prefix(b" ").unwrap_or(value);
    headers.add(String::from_utf8_lossy(&text(name)), text(value));
}

/// `path/of/it = kind value`
fn attribute(rest: &[u8]) -> Option<(Vec<String>, Value)> {
    let place = rest.windows(3).position(|window| window == b" = ")?;
    let (path, value) = rest.split_at(place);
    let path = String::from_utf8_lossy(path);
    let path: Vec<String> = path.split('/').map(str::to_owned).collect();
    Some((path, value_of(value.get(3..)?)))
}

fn value_of(said: &[u8]) -> Value {
    let (kind, rest) = cut(said, b' ').unwrap_or((said, b""));
    let word = || String::from_utf8_lossy(rest);
    match kind {
        b"null" => Value::Null,
        b"bool" => Value::Bool(rest == b"true"),
        b"int" => Value::Int(word().parse().unwrap_or_default()),
        b"uint" => Value::Uint(word().parse().unwrap_or_default()),
        b"num" => Value::Double(word().parse().unwrap_or(f64::NAN)),
        b"list" => Value::List(word().split(',').map(Value::text).collect()),
        b"map" => Value::map(word().split(',').map(|key| (key.to_owned(), Value::text(key)))),
        b"bytes" => Value::Bytes(text(rest)),
        _ => Value::Bytes(text(said)),
    }
}

fn call(rest: &[u8]) -> Option<(&'static str, Vec<u32>)> {
    let said = String::from_utf8_lossy(rest);
    let mut words = said.split(' ');
    let name = words.next()?;
    let callback = CALLBACKS.into_iter().find(|known| *known == name)?;
    Some((callback, words.take(5).map(|word| word.parse().unwrap_or_default()).collect()))
}

#[cfg(test)]
mod tests {
    use super::{Missing, Script};
    use policy_core::Role;
    use wasm_host::{Failure, Headers, Value};

    #[test]
    fn a_script_is_read_as_it_says() {
        let script = Script::read(
            b"at peer tokyo\n> :method: POST\n> *2 x-a:b: \\x00\\{3}c\n+> one\\ntwo\n.> t: 1\n\
              = response/flags = uint 32\n= a/b = JP\nfail reset\nwhat?\ncall proxy_on_tick 7 x\nagain\n<  x",
        );
        assert_eq!((script.role, script.in_tokyo), (Role::Peer, true));
        let [first, second] = script.exchanges.as_slice() else { panic!("{script:?}") };
        let twice = ("x-a", &b"b: \0\0\0\0c"[..]);
        assert_eq!(first.headers, Headers::from_iter([(":method", &b"POST"[..]), twice, twice]));
        assert_eq!(first.body, [b"one\ntwo".to_vec()]);
        assert_eq!(first.trailers, Some(Headers::from_iter([("t", "1")])));
        let path = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
        let attributes = [
            (path(&["response", "flags"]), Value::Uint(32)),
            (path(&["a", "b"]), Value::Bytes(b"JP".to_vec())),
        ];
        assert_eq!(first.attributes, attributes);
        assert_eq!(first.failure, Some(Missing::Failed(Failure::Reset)));
        assert_eq!(first.calls, [("proxy_on_tick", vec![7, 0])]);
        assert_eq!(second.response, Headers::from_iter([(" x", "")]));
    }

    #[test]
    fn anything_is_a_script_of_bounded_size() {
        let much = b"> *999999999 a: b\\{999999999}\n".repeat(3);
        for bytes in [&b""[..], b"\xff", b"> ", b"> \\", b"> \\x", b"> a\\{", b"> *9", &much] {
            let script = Script::read(bytes);
            assert!(script.exchanges.iter().all(|exchange| exchange.headers.len() <= 3000));
        }
    }
}

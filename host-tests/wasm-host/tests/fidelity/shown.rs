//! What a host shows of itself while a case is played, and how two such shows differ.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// What is not compared: clocks, and what belongs to a connection and not to a message.
const NOT_SHOWN: &[&str] =
    &["connection", "date", "server", "transfer-encoding", "x-forwarded-proto", "x-request-id"];

/// How long a text is shown whole.
const WHOLE: usize = 300;

/// What was seen while a case was played.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shown {
    /// That the host did not start, and why: compared as a part of what was said.
    pub(crate) refused: String,
    /// That the host died of it.
    pub(crate) died: bool,
    /// What guests logged on workers, `level: text`, where `level` is one of `trace`, `debug`, `info`,
    /// `warning`, `error` and `critical`. In a case with several plugins the context stands
    /// after the level: in a stream the plugin's name, then root id and VM id if there are. Sorted
    /// if there is more than one worker.
    pub(crate) log: Vec<String>,
    /// The same of guests on the main thread: of the one that only tries a configuration, and of
    /// those that serve the main thread itself.
    pub(crate) main_log: Vec<String>,
    /// What Prometheus is told of metrics of guests, sorted, if the case has tags.
    pub(crate) metrics: Vec<String>,
    /// Counters and gauges: `wasmcustom.*`, and of `wasm.*` those about reloads that are not zero;
    /// not how often it was too early for one, if a request of the case has `until_status`.
    pub(crate) stats: BTreeMap<String, u64>,
    /// What came back, for each request.
    pub(crate) answer: Vec<Answer>,
    /// What upstreams got: cluster by cluster, in the order of arrival.
    pub(crate) upstream: Vec<Arrived>,
}

/// What came back for a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Answer {
    /// The status; 0 if there was none.
    pub(crate) status: u16,
    /// `name: value`, sorted by name.
    pub(crate) headers: Vec<String>,
    /// The body, with `\xNN` for what is no printable ASCII.
    pub(crate) body: String,
    /// `name: value`.
    pub(crate) trailers: Vec<String>,
    /// Whether the connection ended before the answer did.
    pub(crate) cut: bool,
}

/// What an upstream got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Arrived {
    /// Of which cluster it is.
    pub(crate) cluster: String,
    /// Method and path.
    pub(crate) request: String,
    /// `name: value`, sorted by name; `host` only if it is not the usual one.
    pub(crate) headers: Vec<String>,
    /// The body, with `\xNN` for what is no printable ASCII.
    pub(crate) body: String,
    /// `name: value`.
    pub(crate) trailers: Vec<String>,
    /// Whether the connection ended before the request did.
    pub(crate) cut: bool,
}

// === impl Shown ===

impl Shown {
    /// In what this is not what was expected; empty if in nothing.
    pub(crate) fn difference(&self, expected: &Self) -> String {
        let mut account = String::new();
        let (refused, expects) = (self.refused.as_str(), expected.refused.as_str());
        if refused.is_empty() != expects.is_empty() || !refused.contains(expects) {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "start: `{refused}`, expected `{expects}`");
        }
        if self.died != expected.died {
            let _ = writeln!(account, "died: {}, expected {}", self.died, expected.died);
        }
        lines(&mut account, "log", &self.log, &expected.log);
        lines(&mut account, "log of the main thread", &self.main_log, &expected.main_log);
        lines(&mut account, "metrics", &self.metrics, &expected.metrics);
        let stats = |shown: &Self| -> Vec<String> {
            shown.stats.iter().map(|(name, value)| format!("{name} = {value}")).collect()
        };
        lines(&mut account, "stats", &stats(self), &stats(expected));
        let all = |parts: &[Answer]| parts.iter().map(ToString::to_string).collect::<Vec<_>>();
        lines(&mut account, "answers", &all(&self.answer), &all(&expected.answer));
        let all = |parts: &[Arrived]| parts.iter().map(ToString::to_string).collect::<Vec<_>>();
        lines(&mut account, "upstreams", &all(&self.upstream), &all(&expected.upstream));
        account
    }
}

/// Both lists, if they differ, with a mark at what is not the same.
fn lines(account: &mut String, what: &str, shown: &[String], expected: &[String]) {
    if shown == expected {
        return;
    }
    let _ = writeln!(account, "{what}:");
    for at in 0..shown.len().max(expected.len()) {
        match (shown.get(at), expected.get(at)) {
            (Some(one), Some(other)) if one == other => {
                let _ = writeln!(account, "    {one}");
            }
            (one, other) => {
                if let Some(other) = other {
                    let _ = writeln!(account, "  - {other}");
                }
                if let Some(one) = one {
                    let _ = writeln!(account, "  + {one}");
                }
            }
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, headers, body, trailers, cut } = self;
        write!(f, "{status} {headers:?} `{body}` {trailers:?}{}", if *cut { " cut" } else { "" })
    }
}

impl fmt::Display for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, request, headers, body, trailers, cut } = self;
        let cut = if *cut { " cut" } else { "" };
        write!(f, "{cluster}: {request} {headers:?} `{body}` {trailers:?}{cut}")
    }
}

/// The headers that are compared, sorted by name; several of one name stay in their order.
pub(crate) fn headers<'a>(all: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<String> {
    let mut shown: Vec<(String, String)> =
        all.into_iter().map(|(name, value)| (readable(name), readable(value))).collect();
    shown.retain(|(name, _)| !NOT_SHOWN.contains(&name.as_str()));
    shown.sort_by(|one, other| one.0.cmp(&other.0));
    shown.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

/// A text that can be compared and read: `\xNN` for what is no printable ASCII, and of a long one
/// its length and how it begins.
pub(crate) fn readable(bytes: &[u8]) -> String {
    let text = bytes.iter().take(WHOLE).fold(String::new(), |mut text, byte| {
        if matches!(byte, b' '..=b'~') && *byte != b'\\' {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "\\x{byte:02x}");
        }
        text
    });
    if bytes.len() <= WHOLE {
        return text;
    }
    let begin: String = text.chars().take(20).collect();
    format!("{} bytes, {begin}...", bytes.len())
}

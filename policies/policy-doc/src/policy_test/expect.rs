//! What a test expects.

use super::caller::json;
use super::request::header_name;
use super::{BodyExpectation, Expectation, HeaderExpectation};
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, quote};
use crate::fields::{Fields, Shape, not_yet};
use crate::scope::Scope;
use crate::value::malformed;
use crate::yaml::{Content, Entry};
use policy_core::{Reason, Verdict};

const EXPECT: Shape = Shape {
    what: "`expect`",
    keys: &[
        "verdict",
        "status",
        "grpcStatus",
        "reason",
        "rule",
        "region",
        "upstream",
        "response",
        "body",
        "trailers",
        "cut",
        "record",
        "redactions",
    ],
    later: &["metrics", "log"],
};
const VALUE: Shape =
    Shape { what: "the expectation of a value", keys: &["present", "regex"], later: &[] };
const BODY: Shape = Shape {
    what: "the expectation of a body",
    keys: &["is", "contains", "lacks", "json"],
    later: &[],
};

/// More than a body that is answered has values.
const REDACTIONS_MAX: u64 = 1_000_000;

const VERDICTS: [&str; 6] = [
    Verdict::Allow.as_str(),
    Verdict::Route.as_str(),
    Verdict::Redact.as_str(),
    Verdict::Deny.as_str(),
    Verdict::Hold.as_str(),
    Verdict::Shed.as_str(),
];

/// The reasons of later releases.
const LATER_REASONS: [&str; 2] = ["shed_threshold", "route_needed"];

/// Reads `expect`.
pub(super) fn decode(entry: &Entry, scope: &Scope, sink: &mut Sink) -> Option<Expectation> {
    entry.some_entries(sink)?;
    let fields = Fields::open_at(&entry.value, entry.key.span, &EXPECT, sink)?;
    Some(Expectation {
        verdict: fields
            .get("verdict")
            .and_then(|entry| word(entry, &VERDICTS, &[], codes::UNKNOWN_WORD, sink)),
        status: fields.get("status").and_then(|entry| {
            let status = entry.value.number(&entry.what(), 100..=599, sink)?;
            u16::try_from(status.value).ok()
        }),
        grpc_status: fields.get("grpcStatus").and_then(|entry| {
            let status = entry.value.number(&entry.what(), 0..=16, sink)?;
            u8::try_from(status.value).ok()
        }),
        reason: fields.get("reason").and_then(|entry| {
            let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
            word(entry, &reasons, &LATER_REASONS, codes::UNKNOWN_REASON, sink)
        }),
        rule: fields.get("rule").and_then(|entry| {
            let rule = entry.text(sink)?;
            scope.rules.check(&rule, sink).then_some(rule.value)
        }),
        region: fields.get("region").and_then(|entry| {
            let region = entry.text(sink)?;
            scope.regions.check(&region, sink).then_some(region.value)
        }),
        upstream: fields.get("upstream").map(|entry| headers(entry, sink)).unwrap_or_default(),
        response: fields.get("response").map(|entry| headers(entry, sink)).unwrap_or_default(),
        trailers: fields.get("trailers").map(|entry| headers(entry, sink)).unwrap_or_default(),
        body: fields.get("body").and_then(|entry| body(entry, sink)),
        cut: fields.get("cut").and_then(|entry| boolean(entry, sink)),
        record: fields.get("record").map(|entry| record(entry, sink)).unwrap_or_default(),
        redactions: fields.get("redactions").and_then(|entry| {
            let range = 0..=REDACTIONS_MAX;
            entry.value.number(&entry.what(), range, sink).map(|number| number.value)
        }),
    })
}

fn body(entry: &Entry, sink: &mut Sink) -> Option<BodyExpectation> {
    entry.some_entries(sink)?;
    let fields = Fields::open_at(&entry.value, entry.key.span, &BODY, sink)?;
    let texts = |key: &str, sink: &mut Sink| -> Vec<String> {
        let texts = fields.get(key).map(|entry| entry.texts(sink)).unwrap_or_default();
        texts.into_iter().map(|text| text.value).collect()
    };
    Some(BodyExpectation {
        is: fields
            .get("is")
            .and_then(|entry| entry.value.any_text(&entry.what(), sink))
            .map(|text| text.value),
        contains: texts("contains", sink),
        lacks: texts("lacks", sink),
        json: fields.get("json").and_then(|entry| json(&entry.value, &entry.what(), sink)),
    })
}

fn record(entry: &Entry, sink: &mut Sink) -> Vec<(String, HeaderExpectation)> {
    let mut expected = Vec::new();
    for item in entry.some_entries(sink).unwrap_or_default() {
        let name = item.name("a field", sink).filter(|name| {
            let is_name = |part: &str| {
                part.starts_with(|first: char| first.is_ascii_lowercase())
                    && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            };
            let is_path = name.value.split('.').all(is_name);
            if !is_path {
                let help =
                    "a field is named as in the record, and one of a part as `outcome.reason`";
                sink.push(malformed("the name of a field", name, help));
            }
            is_path
        });
        expected.extend(name.map(|name| name.value).zip(value(item, sink)));
    }
    expected
}

fn word(
    entry: &Entry,
    known: &[&str],
    later: &[&str],
    code: codes::Code,
    sink: &mut Sink,
) -> Option<String> {
    let text = entry.text(sink)?;
    if known.contains(&text.value.as_str()) {
        return Some(text.value);
    }
    if later.contains(&text.value.as_str()) {
        sink.push(not_yet(&text.value, text.span, "remove the case"));
        return None;
    }
    let message = format!("there is no {} {}", entry.key.value, quote(&text.value));
    sink.push(Diagnostic::error(code, message).at(text.span).suggest(&text.value, known));
    None
}

fn headers(entry: &Entry, sink: &mut Sink) -> Vec<(String, HeaderExpectation)> {
    let mut headers = Vec::new();
    for item in entry.some_entries(sink).unwrap_or_default() {
        let name = header_name(item, sink);
        headers.extend(name.zip(value(item, sink)));
    }
    headers
}

fn value(entry: &Entry, sink: &mut Sink) -> Option<HeaderExpectation> {
    if !matches!(entry.value.content, Content::Mapping(_)) {
        let text = entry.value.any_text(&entry.what(), sink)?;
        return Some(HeaderExpectation::Is(text.value));
    }
    entry.some_entries(sink)?;
    let fields = Fields::open_at(&entry.value, entry.key.span, &VALUE, sink)?;
    match (fields.get("present"), fields.get("regex")) {
        (Some(present), None) => boolean(present, sink).map(HeaderExpectation::Present),
        (None, Some(regex)) => {
            let text = regex.text(sink)?;
            // The whole value has to match, whatever alternatives the expression has.
            match regex_lite::Regex::new(&format!("^(?:{})$", text.value)) {
                Ok(regex) => Some(HeaderExpectation::Matches(regex)),
                Err(error) => {
                    let why: String =
                        error.to_string().chars().filter(|letter| !letter.is_control()).collect();
                    sink.push(malformed("`regex`", &text, &why));
                    None
                }
            }
        }
        (Some(present), Some(regex)) => {
            let message = "a value is expected either by `present` or by `regex`";
            sink.push(
                Diagnostic::error(codes::EXCLUSIVE, message)
                    .at(regex.key.span)
                    .related(present.key.span, "beside this one"),
            );
            None
        }
        (None, None) => None,
    }
}

/// `true` or `false`, and no other word for either.
pub(super) fn boolean(entry: &Entry, sink: &mut Sink) -> Option<bool> {
    let wanted = "`true` or `false`";
    let Content::Scalar(scalar) = &entry.value.content else {
        entry.value.refuse(&entry.what(), wanted, sink);
        return None;
    };
    match (scalar.plain, scalar.text.as_str()) {
        (true, "true") => return Some(true),
        (true, "false") => return Some(false),
        (_, text) => {
            let message = format!("{} has to be {wanted}, not {}", entry.what(), quote(text));
            sink.push(Diagnostic::error(codes::SHAPE, message).at(entry.value.span));
        }
    }
    None
}

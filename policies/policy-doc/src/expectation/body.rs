//! Holding the body that a client saw against what a test expects. Bodies may be long: what differs
//! is told, with a little of what is around it.

use super::{Mismatch, NOTHING};
use crate::policy_test::{BodyExpectation, Observed};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// How many characters of a body are shown.
const SHOWN: usize = 80;
/// How many of them are before the first that differs.
const BEFORE: usize = 16;
/// How many places of a JSON document are told.
const PLACES: usize = 5;

impl BodyExpectation {
    pub(super) fn compare(&self, observed: &Observed) -> Vec<Mismatch> {
        let Self { is, contains, lacks, json } = self;
        let body = observed.body.as_str();
        let mut found = Vec::new();
        let mut miss = |what: &str, expected: String, seen: String| {
            found.push(Mismatch { what: what.to_owned(), expected, found: seen });
        };
        if let Some(is) = is
            && is != body
        {
            let same = is.chars().zip(body.chars()).take_while(|(one, other)| one == other).count();
            let from = same.saturating_sub(BEFORE);
            miss("body", shown(is, from), shown(body, from));
        }
        for part in contains.iter().filter(|part| !body.contains(part.as_str())) {
            miss("body", format!("{} in it", shown(part, 0)), shown(body, 0));
        }
        for part in lacks {
            for (what, text) in
                everything(observed).filter(|(_, text)| text.contains(part.as_str()))
            {
                let at = text.find(part.as_str()).and_then(|at| text.get(..at)).unwrap_or_default();
                let from = at.chars().count().saturating_sub(BEFORE);
                miss(&what, format!("nothing of {}", shown(part, 0)), shown(&text, from));
            }
        }
        if let Some(json) = json {
            match serde_json::from_str::<Value>(body) {
                Ok(seen) => {
                    let mut places = Vec::new();
                    differ("", Some(json), Some(&seen), &mut places);
                    for (place, expected, seen) in places {
                        miss(&format!("body at `{place}`"), expected, seen);
                    }
                }
                Err(error) => {
                    miss("body", "JSON".to_owned(), format!("{} ({error})", shown(body, 0)));
                }
            }
        }
        found
    }
}

/// Every part of a response that a client reads, names among them.
fn everything(observed: &Observed) -> impl Iterator<Item = (String, Cow<'_, str>)> {
    let line = |what: &'static str| {
        move |(name, value): &(String, String)| {
            (format!("{what} {name}"), Cow::Owned(format!("{name}: {value}")))
        }
    };
    let headers = observed.response.iter().map(line("response header"));
    let trailers = observed.trailers.iter().map(line("response trailer"));
    let body = std::iter::once(("body".to_owned(), Cow::Borrowed(observed.body.as_str())));
    body.chain(headers).chain(trailers)
}

/// A text from a character on, as far as it is shown.
fn shown(text: &str, from: usize) -> String {
    if text.is_empty() {
        return NOTHING.to_owned();
    }
    let part: String = text.chars().skip(from).take(SHOWN).collect();
    let before = if from > 0 { "…" } else { "" };
    let after = if text.chars().nth(from.saturating_add(SHOWN)).is_some() { "…" } else { "" };
    format!("`{before}{part}{after}`")
}

/// The places where two documents differ, as JSON pointers.
fn differ(
    place: &str,
    expected: Option<&Value>,
    seen: Option<&Value>,
    places: &mut Vec<(String, String, String)>,
) {
    if expected == seen || places.len() >= PLACES {
        return;
    }
    match (expected, seen) {
        (Some(Value::Object(expected)), Some(Value::Object(seen))) => {
            let names: BTreeSet<&String> = expected.keys().chain(seen.keys()).collect();
            for name in names {
                let place = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
                differ(&place, expected.get(name), seen.get(name), places);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(seen))) => {
            for number in 0..expected.len().max(seen.len()) {
                let place = format!("{place}/{number}");
                differ(&place, expected.get(number), seen.get(number), places);
            }
        }
        _ => {
            let told = |value: Option<&Value>| {
                value.map_or_else(|| NOTHING.to_owned(), |value| shown(&value.to_string(), 0))
            };
            places.push((place.to_owned(), told(expected), told(seen)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(expected: &BodyExpectation, body: &str) -> Vec<String> {
        let observed = Observed {
            body: body.into(),
            response: vec![("x-user".into(), "hana".into())],
            trailers: vec![("x-mail".into(), "hana@shop".into())],
            ..Observed::default()
        };
        expected.compare(&observed).iter().map(ToString::to_string).collect()
    }

    fn is(text: &str) -> BodyExpectation {
        BodyExpectation { is: Some(text.into()), ..BodyExpectation::default() }
    }

    fn says(json: Value) -> BodyExpectation {
        BodyExpectation { json: Some(json), ..BodyExpectation::default() }
    }

    #[test]
    fn a_body_as_expected_is_no_mismatch() {
        let body = r#"{ "a": [1, {"b": null}], "c": "d" }"#;
        let expected = BodyExpectation {
            contains: vec!["[1".into(), "\"d\"".into()],
            lacks: vec!["hanako".into()],
            ..says(json!({"c": "d", "a": [1, {"b": null}]}))
        };
        assert_eq!(told(&expected, body), [""; 0]);
        assert_eq!(told(&is(""), ""), [""; 0]);
    }

    #[test]
    fn what_occurs_anywhere_is_found() {
        let expected = BodyExpectation { lacks: vec!["hana".into()], ..BodyExpectation::default() };
        let body = format!("{}hana", "é".repeat(20));
        assert_eq!(
            told(&expected, &body),
            [
                format!("body: expected nothing of `hana`, found `…{}hana`", "é".repeat(16)),
                "response header x-user: expected nothing of `hana`, found `x-user: hana`".into(),
                "response trailer x-mail: expected nothing of `hana`, found `x-mail: hana@shop`"
                    .into(),
            ]
        );
    }

    #[test]
    fn a_long_body_is_shown_where_it_differs() {
        let (before, after) = ("0123456789".repeat(10), "abcdefghij".repeat(10));
        let body = |middle: &str| format!("{before}{middle}{after}");
        let around = |middle: &str| {
            let after: String = after.chars().take(SHOWN - BEFORE - 1).collect();
            format!("`…4567890123456789{middle}{after}…`")
        };
        let told_of = |expected: &BodyExpectation| told(expected, &body("y"));
        let whole = format!("body: expected {}, found {}", around("x"), around("y"));
        assert_eq!(told_of(&is(&body("x"))), [whole]);
        let contains = BodyExpectation { contains: vec!["z".into()], ..BodyExpectation::default() };
        let begin = "0123456789".repeat(8);
        assert_eq!(told_of(&contains), [format!("body: expected `z` in it, found `{begin}…`")]);
    }

    #[test]
    fn documents_are_told_by_place() {
        for (expected, body, mismatches) in [
            (
                json!(1),
                "",
                &[
                    "body: expected JSON, found nothing (EOF while parsing a value at line 1 column 0)",
                ][..],
            ),
            (json!({"a": 1}), "[]", &["body at ``: expected `{\"a\":1}`, found `[]`"]),
            (
                json!({"a": {"b/c": 1}, "d": [1]}),
                r#"{"a": {"b/c": 2}, "d": [1, 2], "e": null}"#,
                &[
                    "body at `/a/b~1c`: expected `1`, found `2`",
                    "body at `/d/1`: expected nothing, found `2`",
                    "body at `/e`: expected nothing, found `null`",
                ],
            ),
        ] {
            assert_eq!(told(&says(expected), body), mismatches, "{body}");
        }
        let many = Value::Array(vec![json!(1); 20]);
        assert_eq!(told(&says(many), "[]").len(), PLACES);
    }
}

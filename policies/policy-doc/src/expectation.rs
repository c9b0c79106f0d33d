//! Holding what an engine saw against what a test expects.

mod body;

use crate::policy_test::{Expectation, HeaderExpectation, Observed};
use serde_json::Value;
use std::fmt;

/// Something that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What was looked at, such as `status` or `upstream header x-meshfence-fence`.
    pub what: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, expected, found } = self;
        write!(f, "{what}: expected {expected}, found {found}")
    }
}

impl std::error::Error for Mismatch {}

const NOTHING: &str = "nothing";

impl Expectation {
    /// Everything that is not as expected. What is not expected is not compared.
    pub fn compare(&self, observed: &Observed) -> Vec<Mismatch> {
        let Self { verdict, status, grpc_status, reason, rule, region, upstream, response, .. } =
            self;
        let Self { trailers, body, cut, record, redactions, .. } = self;
        let mut found = Vec::new();
        let mut check = |what: &str, expected: Option<String>, seen: Option<String>| {
            if let Some(expected) = expected
                && seen.as_ref() != Some(&expected)
            {
                let seen = seen.unwrap_or_else(|| NOTHING.to_owned());
                found.push(Mismatch { what: what.to_owned(), expected, found: seen });
            }
        };
        let text = |number: Option<u8>| number.map(|number| number.to_string());
        check("verdict", verdict.clone(), observed.verdict.clone());
        check("status", status.map(|status| status.to_string()), Some(observed.status.to_string()));
        check("grpcStatus", text(*grpc_status), text(observed.grpc_status));
        check("reason", reason.clone(), observed.reason.clone());
        check("rule", rule.clone(), observed.rule.clone());
        check("region", region.clone(), observed.region.clone());
        let ended =
            |cut: bool| String::from(if cut { "a cut response" } else { "a whole response" });
        check("cut", cut.map(ended), Some(ended(observed.cut)));
        let count = |number: Option<u64>| number.map(|number| number.to_string());
        check("redactions", count(*redactions), count(observed.redactions));
        for (name, expected) in upstream {
            let what = format!("upstream header {name}");
            match &observed.upstream {
                Some(headers) => found.extend(expected.compare(what, name, headers)),
                None => found.push(Mismatch {
                    what,
                    expected: expected.to_string(),
                    found: "no request at any upstream".to_owned(),
                }),
            }
        }
        for (name, expected) in response {
            let what = format!("response header {name}");
            found.extend(expected.compare(what, name, &observed.response));
        }
        for (name, expected) in trailers {
            let what = format!("response trailer {name}");
            found.extend(expected.compare(what, name, &observed.trailers));
        }
        for (path, expected) in record {
            let value = observed.record.as_ref().and_then(|record| field(record, path));
            found.extend(expected.hold(format!("record {path}"), value));
        }
        found.extend(body.iter().flat_map(|body| body.compare(observed)));
        found
    }
}

/// A field of a record as text: a string as it is, anything else as JSON.
fn field(record: &Value, path: &str) -> Option<String> {
    let found = path.split('.').try_fold(record, |part, name| part.get(name))?;
    Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

impl HeaderExpectation {
    fn compare(&self, what: String, name: &str, headers: &[(String, String)]) -> Option<Mismatch> {
        let values: Vec<&str> = headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        // Several fields of one name are one list (RFC 9110 §5.3).
        self.hold(what, (!values.is_empty()).then(|| values.join(", ")))
    }

    /// Holds it against a value.
    fn hold(&self, what: String, value: Option<String>) -> Option<Mismatch> {
        let holds = match (self, &value) {
            (Self::Is(expected), Some(value)) => value == expected,
            (Self::Matches(regex), Some(value)) => regex.is_match(value),
            (Self::Present(expected), value) => value.is_some() == *expected,
            (Self::Is(_) | Self::Matches(_), None) => false,
        };
        let found = || value.map_or_else(|| NOTHING.to_owned(), |value| format!("`{value}`"));
        (!holds).then(|| Mismatch { what, expected: self.to_string(), found: found() })
    }
}

impl fmt::Display for HeaderExpectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => write!(f, "`{value}`"),
            Self::Present(true) => f.write_str("any value"),
            Self::Present(false) => f.write_str(NOTHING),
            Self::Matches(regex) => write!(f, "a match of `{}`", written(regex.as_str())),
        }
    }
}

/// The expression as the document has it, without what makes it match the whole value.
fn written(regex: &str) -> &str {
    regex.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$")).unwrap_or(regex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_test::BodyExpectation;
    use serde_json::json;

    fn observed() -> Observed {
        Observed {
            verdict: Some("route".into()),
            status: 200,
            grpc_status: None,
            reason: Some("routed_holder".into()),
            rule: None,
            region: Some("tokyo".into()),
            upstream: Some(vec![
                ("x-meshfence-epoch".into(), "7".into()),
                ("accept".into(), "a".into()),
                ("Accept".into(), "b".into()),
            ]),
            response: vec![("retry-after".into(), "31".into())],
            trailers: vec![("x-sum".into(), "1".into())],
            body: String::from("a body"),
            cut: false,
            record: Some(json!({"reason": "routed_holder", "down": ["osaka"], "stripped": 2})),
            redactions: Some(2),
        }
    }

    fn matches(regex: &str) -> HeaderExpectation {
        HeaderExpectation::Matches(regex_lite::Regex::new(&format!("^(?:{regex})$")).unwrap())
    }

    fn mismatches(expectation: &Expectation, observed: &Observed) -> Vec<String> {
        expectation.compare(observed).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_as_expected_and_what_is_not_expected_is_no_mismatch() {
        let expectation = Expectation {
            verdict: Some("route".into()),
            status: Some(200),
            region: Some("tokyo".into()),
            upstream: vec![
                ("x-meshfence-epoch".into(), HeaderExpectation::Is("7".into())),
                ("accept".into(), HeaderExpectation::Is("a, b".into())),
                ("x-meshfence-route".into(), HeaderExpectation::Present(false)),
            ],
            response: vec![("retry-after".into(), matches("[0-9]+"))],
            trailers: vec![("x-sum".into(), HeaderExpectation::Is("1".into()))],
            body: Some(BodyExpectation { is: Some("a body".into()), ..BodyExpectation::default() }),
            cut: Some(false),
            record: vec![
                ("reason".into(), matches("routed_.*")),
                ("down".into(), HeaderExpectation::Is("[\"osaka\"]".into())),
                ("stripped".into(), HeaderExpectation::Is("2".into())),
                ("outcome.reason".into(), HeaderExpectation::Present(false)),
            ],
            redactions: Some(2),
            ..Expectation::default()
        };
        assert!(expectation.compare(&observed()).is_empty());
        assert!(Expectation::default().compare(&observed()).is_empty());
    }

    #[test]
    fn every_difference_is_named() {
        let expectation = Expectation {
            verdict: Some("hold".into()),
            status: Some(503),
            grpc_status: Some(14),
            reason: Some("home_unavailable".into()),
            rule: Some("r".into()),
            region: Some("taiwan".into()),
            upstream: vec![
                ("x-meshfence-epoch".into(), HeaderExpectation::Is("8".into())),
                ("x-meshfence-epoch".into(), HeaderExpectation::Present(false)),
                ("x-meshfence-fence".into(), HeaderExpectation::Present(true)),
            ],
            response: vec![("retry-after".into(), matches("3|1"))],
            trailers: vec![("x-sum".into(), HeaderExpectation::Present(false))],
            body: Some(BodyExpectation { is: Some("body".into()), ..BodyExpectation::default() }),
            cut: Some(true),
            record: vec![("outcome.reason".into(), HeaderExpectation::Present(true))],
            redactions: Some(0),
        };
        assert_eq!(
            mismatches(&expectation, &observed()),
            [
                "verdict: expected hold, found route",
                "status: expected 503, found 200",
                "grpcStatus: expected 14, found nothing",
                "reason: expected home_unavailable, found routed_holder",
                "rule: expected r, found nothing",
                "region: expected taiwan, found tokyo",
                "cut: expected a cut response, found a whole response",
                "redactions: expected 0, found 2",
                "upstream header x-meshfence-epoch: expected `8`, found `7`",
                "upstream header x-meshfence-epoch: expected nothing, found `7`",
                "upstream header x-meshfence-fence: expected any value, found nothing",
                "response header retry-after: expected a match of `3|1`, found `31`",
                "response trailer x-sum: expected nothing, found `1`",
                "record outcome.reason: expected any value, found nothing",
                "body: expected `body`, found `a body`",
            ]
        );
    }

    #[test]
    fn headers_of_a_request_that_never_arrived_are_not_as_expected() {
        let expectation = Expectation {
            upstream: vec![("x-meshfence-route".into(), HeaderExpectation::Present(false))],
            ..Expectation::default()
        };
        let nowhere = Observed { upstream: None, ..observed() };
        assert_eq!(
            mismatches(&expectation, &nowhere),
            [
                "upstream header x-meshfence-route: expected nothing, found no request at any upstream"
            ]
        );
    }
}

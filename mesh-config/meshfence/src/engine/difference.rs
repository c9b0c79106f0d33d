//! Holding what two engines saw against each other, but for what is new with every request.

use super::Observation;
use guard::RECORD_FIELDS_NEW;
use guard::header::{
    BAGGAGE, CAUSAL, DECISION, ETAG, IF_MATCH, REASON, SESSION, SIG, SUBJECT, VERSION, VV,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Something that two engines saw differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What, such as `status` or `response header retry-after`.
    pub what: String,
    /// What the first engine saw.
    pub first: String,
    /// What the second one saw.
    pub second: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, first, second } = self;
        write!(f, "{what}: {first} and {second}")
    }
}

/// Headers that belong to one connection, or to the time of day, and that no guard looks at.
const REQUEST_TRANSPORT: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
];
const RESPONSE_TRANSPORT: [&str; 6] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "date",
    "server",
    "x-envoy-upstream-service-time",
];

const NOTHING: &str = "nothing";

/// Everything that two engines saw differently.
pub fn differences(first: &Observation, second: &Observation) -> Vec<Difference> {
    let (first, second) = (facts(first), facts(second));
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let said = |facts: &BTreeMap<String, String>, name: &String| {
        facts.get(name).cloned().unwrap_or_else(|| NOTHING.to_owned())
    };
    names
        .into_iter()
        .filter(|name| first.get(*name) != second.get(*name))
        .map(|name| Difference {
            what: name.clone(),
            first: said(&first, name),
            second: said(&second, name),
        })
        .collect()
}

/// All that was seen, by what it is.
fn facts(seen: &Observation) -> BTreeMap<String, String> {
    let Observation { sent: _, observed, hops } = seen;
    let mut facts = BTreeMap::new();
    let mut put = |what: &str, value: Option<String>| {
        facts.extend(value.map(|value| (what.to_owned(), value)));
    };
    put("verdict", observed.verdict.clone());
    put("status", Some(observed.status.to_string()));
    put("grpcStatus", observed.grpc_status.map(|status| status.to_string()));
    put("reason", observed.reason.clone());
    put("rule", observed.rule.clone());
    put("region", observed.region.clone());
    // A refusal names the decision of the guard that refused, which need not be the first one.
    let ids = hops.iter().filter_map(|hop| hop.record.get("id")?.as_str());
    let ids: Vec<&str> = ids.filter(|id| !id.is_empty()).collect();
    // What Envoy itself answers has words of its own.
    let says =
        |name: &str| observed.response.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let is_ours = says(REASON);
    let settled =
        |body: &str| ids.iter().fold(pseudonymous(body), |body, id| body.replace(id, "<id>"));
    let is_envoys = observed.region.is_none() && !is_ours;
    put("body", seen.body().filter(|_| !is_envoys).map(settled));
    put("end", observed.cut.then(|| "cut".to_owned()));
    put("hops", Some(hops.len().to_string()));
    for (number, hop) in hops.iter().enumerate() {
        put(&format!("record {} of {} as {}", number + 1, hop.region, hop.role), Some(record(hop)));
    }
    put("upstream", observed.upstream.as_ref().map(|_| "a request".to_owned()));
    let headers = observed.upstream.iter().flatten();
    facts.extend(by_name("upstream header", headers, &REQUEST_TRANSPORT));
    let headers = observed.response.iter().filter(|(name, _)| is_ours || name != "grpc-message");
    facts.extend(by_name("response header", headers, &RESPONSE_TRANSPORT));
    facts.extend(by_name("response trailer", observed.trailers.iter(), &RESPONSE_TRANSPORT));
    facts
}

/// A text without what a key makes of a value, for every mesh has keys of its own: 16 hexadecimal
/// digits by themselves.
fn pseudonymous(text: &str) -> String {
    const DIGITS: usize = 16;
    let is_digit = |letter: char| matches!(letter, '0'..='9' | 'a'..='f');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_alphanumeric()) {
        let (before, word) = rest.split_at(at);
        let end = word.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        out.push_str(before);
        let is_made = word.len() == DIGITS && word.chars().all(is_digit);
        out.push_str(if is_made { "<made with a key>" } else { word });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Headers by name; several fields of one name are one list.
fn by_name<'h>(
    what: &str,
    headers: impl Iterator<Item = &'h (String, String)>,
    transport: &[&str],
) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if transport.contains(&name.as_str()) || name.starts_with(':') {
            continue;
        }
        let value = settled(&name, value);
        found
            .entry(format!("{what} {name}"))
            .and_modify(|values| {
                values.push_str(", ");
                values.push_str(&value);
            })
            .or_insert(value);
    }
    found
}

/// The value of a header without what is new with every request.
fn settled(name: &str, value: &str) -> String {
    match name {
        DECISION => "<id>".to_owned(),
        SIG => "<signature>".to_owned(),
        VERSION => version(value),
        CAUSAL | ETAG | IF_MATCH | VV | BAGGAGE => carried(value),
        "retry-after" if value.bytes().all(|byte| byte.is_ascii_digit()) => "<seconds>".to_owned(),
        SESSION => "<session>".to_owned(),
        SUBJECT => pseudonymous(value),
        "authorization" if value.starts_with("Bearer ") => "<token>".to_owned(),
        _ => value.to_owned(),
    }
}

/// What carries versions, without their times and nodes, when it is over, and what a key makes of it.
fn carried(value: &str) -> String {
    const EXPIRY: usize = 10;
    const MAC: usize = 32;
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let settled = |word: &str| {
        let is = |length: usize, is_digit: fn(&u8) -> bool| {
            word.len() == length && word.as_bytes().iter().all(is_digit)
        };
        if is(EXPIRY, u8::is_ascii_digit) {
            "<expiry>".to_owned()
        } else if is(MAC, u8::is_ascii_hexdigit) {
            "<made with a key>".to_owned()
        } else {
            version(word)
        }
    };
    let words = value.split_inclusive(|letter| !is_part(letter));
    let words = words.map(|word| {
        let end = word.find(|letter| !is_part(letter)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        settled(word) + after
    });
    words.collect()
}

/// A version without its time and its node; what is none stays.
fn version(value: &str) -> String {
    let mut parts = value.split('-');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(stamp), Some(code), Some(node), None)
            if stamp.len() == 16 && node.len() == 8 && !stamp.starts_with("0000") =>
        {
            format!("<stamp>-{code}-<node>")
        }
        _ => value.to_owned(),
    }
}

/// A decision record without what is new with every request.
fn record(hop: &super::Hop) -> String {
    let mut record = hop.record.clone();
    if let Value::Object(fields) = &mut record {
        for field in RECORD_FIELDS_NEW {
            fields.remove(*field);
        }
        if let Some(Value::String(stamp)) = fields.get_mut("version") {
            *stamp = version(stamp);
        }
        if let Some(Value::String(subject)) = fields.get_mut("subject") {
            *subject = pseudonymous(subject);
        }
        // In the order of names, whoever wrote it.
        fields.sort_keys();
    }
    record.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Hop, Sent};

    #[test]
    fn what_carries_versions_is_the_same_but_for_them() {
        let stamp = "01a2220235dc0000-tpe-00000001";
        let mac = "54e544e65bf05694deafb9a900d296c3";
        for (value, expected) in [
            (
                format!("v1.k1.1795870499.{stamp}.{mac}"),
                "v1.k1.<expiry>.<stamp>-tpe-<node>.<made with a key>",
            ),
            (format!("\"v1.k1.{stamp}.{mac}\""), "\"v1.k1.<stamp>-tpe-<node>.<made with a key>\""),
            (format!("taiwan={stamp},tokyo=x"), "taiwan=<stamp>-tpe-<node>,tokyo=x"),
            (String::from("\"33a64df5\""), "\"33a64df5\""),
        ] {
            assert_eq!(carried(&value), expected, "{value}");
        }
    }
    use policy_core::Role;
    use policy_doc::Observed;
    use serde_json::json;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn seen(id: &str, response: &[(&str, &str)], upstream: &[(&str, &str)]) -> Observation {
        let mut all = pairs(response);
        all.push((DECISION.into(), id.into()));
        all.push((REASON.into(), "loop".into()));
        Observation {
            sent: Sent {
                method: "GET".into(),
                path: "/".into(),
                host: "h".into(),
                headers: Vec::new(),
                body: String::new(),
                http2: false,
                certificate: None,
                token: None,
                own: policy_doc::OwnCredentials::default(),
                carried: policy_doc::TestCarried::default(),
                caller: None,
            },
            observed: Observed {
                status: 200,
                upstream: Some(pairs(upstream)),
                response: all,
                body: format!("decision {id}"),
                ..Observed::default()
            },
            hops: vec![Hop {
                region: "taiwan".into(),
                role: Role::Edge,
                record: json!({
                    "verdict": "allow", "id": id, "version": "0199aabbccdd0001-tpe-01234567",
                    "ts": 1, "mono": 1, "node": "01234567", "seq": 1, "prev": id, "hash": id,
                }),
            }],
        }
    }

    #[test]
    fn what_is_new_with_every_request_is_no_difference() {
        let first = seen(
            "a-1",
            &[("Retry-After", "2"), ("date", "now")],
            &[("x-meshfence-version", "0199aabbccdd0001-tpe-01234567"), ("x-request-id", "1")],
        );
        let second = seen(
            "b-2",
            &[("retry-after", "5"), ("server", "envoy")],
            &[("x-meshfence-version", "0199aabbccff0000-tpe-89abcdef")],
        );
        assert_eq!(differences(&first, &second), []);
    }

    #[test]
    fn what_a_key_makes_is_no_difference() {
        for (text, without) in [
            ("{\"a\":\"0123456789abcdef\"}", "{\"a\":\"<made with a key>\"}"),
            ("0123456789abcde 0123456789abcdef0", "0123456789abcde 0123456789abcdef0"),
            ("é0123456789ABCDEF", "é0123456789ABCDEF"),
            ("fedcba9876543210", "<made with a key>"),
        ] {
            assert_eq!(pseudonymous(text), without);
        }
    }

    #[test]
    fn everything_else_is_one() {
        let first = seen("a", &[("retry-after", "2"), ("a", "1")], &[("b", "1"), ("b", "2")]);
        let mut second = seen("a", &[("retry-after", "soon")], &[("b", "1")]);
        second.observed.status = 503;
        second.observed.reason = Some("loop".into());
        second.observed.body.clear();
        second.observed.cut = true;
        second.observed.trailers = pairs(&[("x-sum", "1")]);
        second.hops[0].record = json!({"id": "c", "verdict": "hold"});
        let told: Vec<String> =
            differences(&first, &second).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "body: decision <id> and nothing",
                "end: nothing and cut",
                "reason: nothing and loop",
                "record 1 of taiwan as edge: {\"verdict\":\"allow\",\"version\":\"<stamp>-tpe-<node>\"} \
                 and {\"verdict\":\"hold\"}",
                "response header a: 1 and nothing",
                "response header retry-after: <seconds> and soon",
                "response trailer x-sum: nothing and 1",
                "status: 200 and 503",
                "upstream header b: 1, 2 and 1",
            ]
        );
        let mut third = seen("a", &[], &[]);
        third.observed.upstream = None;
        third.hops.clear();
        let told = differences(&seen("a", &[], &[]), &third).len();
        assert_eq!(
            told, 4,
            "the request upstream, the record, how many, whose decision the body has"
        );
    }
}

//! Documents, redacted in one piece and in every other, against a redaction of the whole.

use super::*;
use policy_core::wire::PluginConfig;
use policy_core::{FieldPath, FieldStep, Policy};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

const SHOP: &[u8] = include_bytes!("../../../../policies/policy-core/fixtures/shop.json");

/// The fields of one profile, as path and action; `truncate` keeps two characters.
fn profiles(fields: &[(&str, &str)], body_max: u32) -> Profiles {
    let fields: Vec<Value> = fields
        .iter()
        .map(|(path, action)| match *action {
            "truncate" => json!({"path": path, "action": action, "keep": 2}),
            _ => json!({"path": path, "action": action}),
        })
        .collect();
    let mut config: Value = serde_json::from_slice(SHOP).unwrap();
    config["policy"]["residency"]["redactionProfiles"] =
        json!([{"name": "p", "fields": fields, "headers": ["x-user"]}]);
    config["policy"]["residency"]["redaction"] = json!({"maxBodyBytes": body_max});
    let config = PluginConfig::from_json(config.to_string().as_bytes()).unwrap();
    Policy::compile(&config).unwrap().profiles().clone()
}

/// Stands in for a keyed hash.
fn sum(bytes: &[u8]) -> [u8; 8] {
    let add = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
    bytes.iter().fold(7, add).to_be_bytes()
}

fn redact<'b>(
    profiles: &Profiles,
    chunks: impl IntoIterator<Item = &'b [u8]>,
) -> Result<(String, u32), Impossible> {
    let of = ProfileSet::EMPTY.with(0);
    let rules = Rules { profiles, of, hash: &|text| Some(sum(text)) };
    let mut redactor = Redactor::new(profiles, of);
    for chunk in chunks {
        redactor = redactor.push(&rules, chunk)?;
    }
    let Redacted { body, counts } = redactor.finish(&rules)?;
    assert!(counts.keys().eq([&0]), "{counts:?}");
    Ok((String::from_utf8(body).unwrap(), counts.values().sum()))
}

fn whole(fields: &[(&str, &str)], text: &str) -> Result<(String, u32), Impossible> {
    redact(&profiles(fields, 262_144), [text.as_bytes()])
}

#[test]
fn values_are_redacted_where_paths_lead() {
    for (fields, text, expected, count) in [
        (&[("/a", "drop")][..], r#"{"a": 1, "b": 2}"#, r#"{"b":2}"#, 1),
        (&[("/a", "drop")], r#"{"b": 2, "a": {"a": [1]}}"#, r#"{"b":2}"#, 1),
        (&[("/*", "drop")], r#"{"b": 2, "a": 1}"#, "{}", 2),
        (&[("/1", "drop")], "[10, 11, 12]", "[10,12]", 1),
        (&[("/0", "mask"), ("/1", "mask")], r#"[{"0": 1}, [2], 3]"#, r#"["***","***",3]"#, 2),
        (&[("/01", "mask")], "[10, 11]", "[10,11]", 0),
        (&[("", "drop")], r#"{"a": 1}"#, "null", 1),
        (&[("", "drop")], "1", "null", 1),
        (&[("", "mask")], r#"[{"a": 1}]"#, r#""***""#, 1),
        (&[("", "hash")], "[]", r#""***""#, 1),
        (
            &[("/**/a", "mask")],
            r#"{"a": 1, "b": [{"a": {"a": 2}}, [{"c": 3}]]}"#,
            r#"{"a":"***","b":[{"a":"***"},[{"c":3}]]}"#,
            2,
        ),
        (
            &[("/b/*/a", "mask")],
            r#"{"a": 1, "b": [{"a": 2}, {"x": {"a": 3}}]}"#,
            r#"{"a":1,"b":[{"a":"***"},{"x":{"a":3}}]}"#,
            1,
        ),
        (
            &[("/**/b/**/a", "mask")],
            r#"{"a": 1, "x": {"b": {"a": 2, "y": [{"a": 3}]}}}"#,
            r#"{"a":1,"x":{"b":{"a":"***","y":[{"a":"***"}]}}}"#,
            2,
        ),
        // Members are told by what their keys mean, not by how they are written.
        (&[("/phone", "mask")], r#"{"\u0070h\u006fne": 1}"#, r#"{"phone":"***"}"#, 1),
        (
            &[("/a~1b", "mask"), ("/c~0d", "mask")],
            r#"{"a\/b": 1, "c~d": 2, "a~1b": 3}"#,
            r#"{"a/b":"***","c~d":"***","a~1b":3}"#,
            2,
        ),
        (&[("/\u{1f600}", "mask")], r#"{"\ud83d\ude00": 1}"#, "{\"\u{1f600}\":\"***\"}", 1),
        (&[("/", "mask")], r#"{"": 1, " ": 2}"#, r#"{"":"***"," ":2}"#, 1),
        // Strings, numbers, containers.
        (
            &[("/*", "truncate")],
            r#"["abc", "ab", "", "\u540d\u524d\u3067\u3059", 1234, null, [1], {}]"#,
            "[\"ab\",\"***\",\"***\",\"\u{540d}\u{524d}\",\"***\",\"***\",\"***\",\"***\"]",
            8,
        ),
        (&[("/*", "hash")], r#"[[1], {"a": 1}]"#, r#"["***","***"]"#, 2),
        // The strongest wins.
        (
            &[("/a", "truncate"), ("/*", "hash"), ("/**/a", "mask")],
            r#"{"a": "abcd"}"#,
            r#"{"a":"***"}"#,
            1,
        ),
        (&[("/a", "mask"), ("/*", "drop")], r#"{"a": "abcd"}"#, "{}", 1),
        (&[("/a/b", "drop"), ("/a", "mask")], r#"{"a": {"b": 1}}"#, r#"{"a":"***"}"#, 1),
        // What stays is what it was.
        (
            &[("/x", "drop")],
            "[1.0, -0, 1e400, 0.1E+2, 12345678901234567890123]",
            "[1.0,-0,1e400,0.1E+2,12345678901234567890123]",
            0,
        ),
        (
            &[("/x", "drop")],
            " \t\r\n{ \"a\" : [ true , false , null ] } \n",
            r#"{"a":[true,false,null]}"#,
            0,
        ),
        (&[("/x", "drop")], r#""\u0000\n\"\\\/\u00e9""#, "\"\\u0000\\n\\\"\\\\/\u{e9}\"", 0),
        (&[("/x", "drop")], "", "", 0),
    ] {
        let expected = Ok((expected.to_owned(), count));
        assert_eq!(whole(fields, text), expected, "{fields:?} {text}");
        let table = profiles(fields, 262_144);
        assert_eq!(redact(&table, text.as_bytes().chunks(1)), expected, "byte by byte: {text}");
        for cut in 0..=text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            assert_eq!(redact(&table, [first, b"", second]), expected, "cut at {cut}: {text}");
        }
    }
}

#[test]
fn hashes_tell_values_apart_and_need_a_key() {
    let fields = &[("/*", "hash")];
    let (text, _) = whole(fields, r#"["1", 1, "\u0031", 1.0, true, "true"]"#).unwrap();
    let Value::Array(hashes) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
    assert_eq!(hashes[0], hashes[2], "one value, written in two ways");
    let all: BTreeSet<&str> = hashes.iter().map(|hash| hash.as_str().unwrap()).collect();
    assert_eq!(all.len(), 5, "{text}");
    assert!(all.iter().all(|hash| hash.len() == 18 && hash.starts_with("h:")), "{text}");

    let profiles = profiles(fields, 262_144);
    let of = ProfileSet::EMPTY.with(0);
    let rules = Rules { profiles: &profiles, of, hash: &|_| None };
    let redacted = Redactor::new(&profiles, of).push(&rules, b"[1]").unwrap().finish(&rules);
    assert_eq!(redacted, Ok(Redacted { body: br#"["***"]"#.to_vec(), counts: [(0, 1)].into() }));
}

#[test]
fn what_is_not_one_json_document_is_not_redacted() {
    for (text, why) in [
        (&b"{"[..], "cut"),
        (b"[1", "cut"),
        (b"\"a", "cut"),
        (b"tru", "cut"),
        (b"1.", "cut"),
        (b"-", "cut"),
        (b" ", "nothing"),
        (b"{} {}", "two documents"),
        (b"{}x", "something behind it"),
        (b"1 2", "two documents"),
        (b"[1,]", "a comma too many"),
        (b"{\"a\":1,}", "a comma too many"),
        (b"{a:1}", "a key without quotes"),
        (b"{1:1}", "a key that is no string"),
        (b"['a']", "single quotes"),
        (b"[01]", "a zero before a number"),
        (b"[+1]", "a plus"),
        (b"[.5]", "no digit before the point"),
        (b"[1e]", "no digit behind the e"),
        (b"[NaN]", "a word of other formats"),
        (b"[True]", "another case"),
        (b"[1}", "another bracket"),
        (b"]", "nothing open"),
        (b"/**/{}", "a comment"),
        (b"[\"a\nb\"]", "a control character"),
        (b"[\"\x00\"]", "a control character"),
        (b"[\"\\x\"]", "an escape that is none"),
        (b"[\"\\u12g4\"]", "an escape that is none"),
        (b"[\"\\ud800\"]", "half a surrogate pair"),
        (b"[\"\\udc00\"]", "the other half"),
        (b"[\"\\ud800\\u0041\"]", "half a surrogate pair"),
        (b"[\"\\ud800\\ud800\"]", "twice the same half"),
        (b"[\"\xff\"]", "no UTF-8"),
        (b"[\"\xc0\xaf\"]", "a longer form than needed"),
        (b"[\"\xed\xa0\x80\"]", "a surrogate in UTF-8"),
        (b"{\"\xff\":1}", "no UTF-8 in a key"),
        (b"\xef\xbb\xbf{}", "a byte order mark"),
        (b"{\x00}", "a NUL"),
        (b"[1\x0b]", "white space of other formats"),
        (b"\x1f\x8b\x08\x00", "gzip"),
    ] {
        let profiles = profiles(&[("/a", "mask")], 262_144);
        let shown = text.escape_ascii();
        assert_eq!(redact(&profiles, [text]), Err(Impossible::NotJson), "{why}: {shown}");
        assert_eq!(redact(&profiles, text.chunks(1)), Err(Impossible::NotJson), "{why}: {shown}");
    }
}

#[test]
fn keys_that_stand_twice_make_it_impossible() {
    for (text, twice) in [
        (r#"{"a": 1, "a": 1}"#, true),
        (r#"{"a": 1, "\u0061": 2}"#, true),
        (r#"{"b": [{"a": 1, "c": {}, "a": 1}]}"#, true),
        (r#"{"hidden": {"a": 1, "a": 2}}"#, true),
        (r#"{"a": {"a": 1}, "b": {"a": 1}}"#, false),
        (r#"{"a": 1, "A": 2}"#, false),
    ] {
        let found = whole(&[("/hidden", "drop")], text);
        assert_eq!(found == Err(Impossible::KeyTwice), twice, "{text}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(whole(&[("/a", "drop")], &nested(64)).is_ok());
    assert_eq!(whole(&[("/a", "drop")], &nested(65)), Err(Impossible::TooDeep));
    let hidden = format!(r#"{{"a": {}}}"#, nested(64));
    assert_eq!(whole(&[("/a", "drop")], &hidden), Err(Impossible::TooDeep), "inside as well");

    let small = profiles(&[("/*", "hash")], 1_024);
    let text = format!("[{}]", " ".repeat(1_022));
    assert_eq!(redact(&small, [text.as_bytes()]), Ok(("[]".into(), 0)));
    for chunk in [1, 100, 2_000] {
        let longer = format!("{text} ");
        let found = redact(&small, longer.as_bytes().chunks(chunk));
        assert_eq!(found, Err(Impossible::TooLarge), "{chunk}");
    }
    // What replaces a value is longer than it.
    let many = format!("[{}1]", "1,".repeat(300));
    assert_eq!(redact(&small, [many.as_bytes()]), Err(Impossible::TooLarge));
}

/// A long token that arrives byte by byte is not read from its start with every byte.
#[test]
fn a_long_token_costs_its_length() {
    let table = profiles(&[("/a", "drop")], 1_048_576);
    let text = format!("[\"{}\"]", "a".repeat(1_000_000));
    assert_eq!(redact(&table, text.as_bytes().chunks(1)), Ok((text.clone(), 0)));
}

// === any document, against a redaction of the whole ===

/// What a path leads to, read off the path itself.
fn leads(steps: &[FieldStep], at: &[String]) -> bool {
    match (steps.split_first(), at.split_first()) {
        (None, None) => true,
        (Some((FieldStep::Deep, rest)), None) => leads(rest, at),
        (Some((FieldStep::Deep, rest)), Some((_, below))) => leads(rest, at) || leads(steps, below),
        (Some((FieldStep::Any, rest)), Some((_, below))) => leads(rest, below),
        (Some((FieldStep::Named(name), rest)), Some((first, below))) => {
            **name == **first && leads(rest, below)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

const STRENGTH: [&str; 4] = ["truncate", "hash", "mask", "drop"];

fn strongest(fields: &[(String, &'static str)], at: &[String]) -> Option<&'static str> {
    let asked: Vec<&str> = fields
        .iter()
        .filter(|(path, _)| leads(FieldPath::parse(path).unwrap().steps(), at))
        .map(|(_, action)| *action)
        .collect();
    STRENGTH.iter().rev().find(|action| asked.contains(*action)).copied()
}

/// The whole, redacted: nothing if it is taken away. What a redacted value held goes to `gone`.
fn oracle(
    fields: &[(String, &'static str)],
    value: &Value,
    at: &mut Vec<String>,
    gone: &mut Vec<Value>,
) -> Option<Value> {
    if let Some(action) = strongest(fields, at) {
        gone.push(value.clone());
        let masked = Value::from("***");
        return match (action, value) {
            ("drop", _) => None,
            ("hash", value) if !value.is_array() && !value.is_object() => {
                let hash = u64::from_be_bytes(sum(value.to_string().as_bytes()));
                Some(Value::from(format!("h:{hash:016x}")))
            }
            ("truncate", Value::String(text)) if text.chars().count() > 2 => {
                Some(text.chars().take(2).collect::<String>().into())
            }
            _ => Some(masked),
        };
    }
    let mut below = |name: String, value: &Value| {
        at.push(name);
        let redacted = oracle(fields, value, at, gone);
        at.pop();
        redacted
    };
    Some(match value {
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.filter_map(|(number, item)| below(number.to_string(), item)).collect()
        }
        Value::Object(members) => members
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), below(name.clone(), value)?)))
            .collect::<Map<_, _>>()
            .into(),
        scalar => scalar.clone(),
    })
}

const NAMES: [&str; 6] = ["a", "b", "0", "1", "a/b", "名"];

fn documents() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        // Long enough that none is in another by chance.
        "[a-z\u{e0}-\u{ff}\"\\\\/\n\t]{12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(&NAMES[..]), inner, 0..5).prop_map(
                |members| {
                    let members = members.into_iter();
                    members
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect::<Map<_, _>>()
                        .into()
                }
            ),
        ]
    })
}

fn fields() -> impl Strategy<Value = Vec<(String, &'static str)>> {
    let step = prop_oneof![
        4 => prop::sample::select(&NAMES[..]).prop_map(|name| name.replace('/', "~1")),
        2 => Just("*".to_owned()),
        2 => Just("**".to_owned()),
    ];
    let path = prop::collection::vec(step, 0..5)
        .prop_map(|steps| steps.iter().fold(String::new(), |path, step| path + "/" + step))
        .prop_filter("a path", |path| FieldPath::parse(path).is_ok());
    prop::collection::vec((path, prop::sample::select(&STRENGTH[..])), 1..5)
}

/// Writes a document in one of many ways: with escapes where none are needed, and with white space.
fn spelled(value: &Value, ways: &mut impl Iterator<Item = u8>, text: &mut String) {
    let space = |ways: &mut dyn Iterator<Item = u8>| {
        [" ", "\n\t", "", ""][usize::from(ways.next().unwrap_or(0)) % 4]
    };
    let string = |word: &str, ways: &mut dyn Iterator<Item = u8>, text: &mut String| {
        text.push('"');
        for letter in word.chars() {
            let plain = !letter.is_control() && letter != '"' && letter != '\\';
            if plain && !ways.next().unwrap_or(0).is_multiple_of(4) {
                text.push(letter);
            } else {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    write!(text, "\\u{unit:04X}").unwrap();
                }
            }
        }
        text.push('"');
    };
    text.push_str(space(ways));
    match value {
        Value::Array(items) => {
            text.push('[');
            for (number, item) in items.iter().enumerate() {
                text.push_str(if number > 0 { "," } else { "" });
                spelled(item, ways, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (number, (name, value)) in members.iter().enumerate() {
                text.push_str(if number > 0 { "," } else { "" });
                string(name, ways, text);
                text.push_str(space(ways));
                text.push(':');
                spelled(value, ways, text);
            }
            text.push('}');
        }
        Value::String(word) => string(word, ways, text),
        scalar => text.push_str(&scalar.to_string()),
    }
    text.push_str(space(ways));
}

/// Every string of a value that is long enough to be told from what else a document has.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() >= 12 => found.push(text.clone()),
        Value::Array(items) => {
            for item in items {
                strings(item, found);
            }
        }
        Value::Object(members) => {
            for value in members.values() {
                strings(value, found);
            }
        }
        _ => {}
    }
}

proptest! {
    /// R5. To see it fail: let `Document::begin` open every container with `is_hidden: false`, or
    /// `Document::fate` take an item's number for 0, or `Profiles::below` follow one place alone.
    #[test]
    fn r5_no_redacted_value_is_left(
        document in documents(),
        fields in fields(),
        ways in prop::collection::vec(any::<u8>(), 0..200),
        size in 1_usize..40,
    ) {
        let mut text = String::new();
        spelled(&document, &mut ways.iter().copied().cycle().take(10_000), &mut text);
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &document);
        let table: Vec<(&str, &str)> =
            fields.iter().map(|(path, action)| (path.as_str(), *action)).collect();
        let profiles = profiles(&table, 262_144);
        let (redacted, count) = redact(&profiles, [text.as_bytes()]).unwrap();
        let mut gone = Vec::new();
        let expected = oracle(&fields, &document, &mut Vec::new(), &mut gone).unwrap_or(Value::Null);
        prop_assert_eq!(serde_json::from_str::<Value>(&redacted).unwrap(), expected.clone());
        prop_assert_eq!(usize::try_from(count).unwrap(), gone.len());
        // Chunks make no difference.
        prop_assert_eq!(redact(&profiles, text.as_bytes().chunks(size)).unwrap(), (redacted.clone(), count));
        // What was at a redacted place is nowhere, but where it stood at another place as well.
        let (mut secrets, mut left) = (Vec::new(), Vec::new());
        for value in &gone {
            strings(value, &mut secrets);
        }
        strings(&expected, &mut left);
        for secret in secrets {
            let spelled = Value::from(secret.as_str()).to_string();
            prop_assert!(!redacted.contains(&spelled) || left.contains(&secret), "{secret}");
        }
    }

    #[test]
    fn what_was_masked_once_stays_as_it_is(document in documents(), fields in fields()) {
        // An item that is taken away moves those behind it to other places.
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(path, action)| (path.as_str(), if *action == "drop" && !path.contains(['0', '1']) { "drop" } else { "mask" })).collect();
        let profiles = profiles(&fields, 262_144);
        let (once, _) = redact(&profiles, [document.to_string().as_bytes()]).unwrap();
        let (twice, _) = redact(&profiles, [once.as_bytes()]).unwrap();
        prop_assert!(twice == once || fields.iter().any(|(path, action)| path.is_empty() && *action == "drop"));
    }

    #[test]
    fn any_bytes_are_redacted_or_refused_in_any_chunks(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "[\\[\\]{}:,\"\\\\u0-9a-f.eE+ -]{0,40}".prop_map(String::into_bytes),
        ],
        size in 1_usize..20,
    ) {
        let profiles = profiles(&[("/**/a", "mask"), ("/0", "drop")], 262_144);
        let whole = redact(&profiles, [bytes.as_slice()]);
        prop_assert_eq!(whole.clone().ok(), redact(&profiles, bytes.chunks(size)).ok());
        // Nothing that a JSON reader would not read passes.
        let reads = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
        prop_assert!(whole.is_err() || bytes.is_empty() || reads);
    }
}

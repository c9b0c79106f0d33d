//! The test vectors for other languages, held against this crate.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a file that is not as it should be fails the test"
)]

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json, to_value};
use std::fmt::Debug;
use std::path::Path;
use versions::merge::{Cart, Register, Reviews, Stock};
use versions::{Stamp, VersionVector};

/// One of the files.
fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The cases of one list, of which there are at least so many.
fn cases<'a>(file: &'a Value, list: &str, at_least: usize) -> &'a [Value] {
    let cases = file[list].as_array().unwrap();
    assert!(cases.len() >= at_least, "{list} has {} cases", cases.len());
    cases
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn stamps() {
    let file = read("stamps.json");
    for case in cases(&file, "valid", 10) {
        let stamp = Stamp::parse(text(&case["text"]).as_bytes()).unwrap();
        let seen = json!({
            "text": stamp.to_string(),
            "ms": stamp.ms(),
            "counter": stamp.counter(),
            "code": String::from_utf8_lossy(&stamp.code()),
            "node": stamp.node(),
        });
        assert_eq!(seen, *case);
    }
    for case in cases(&file, "invalid", 20) {
        assert_eq!(Stamp::parse(text(&case["text"]).as_bytes()), None, "{case}");
    }
    let sorted: Vec<&str> = cases(&file, "sorted", 40).iter().map(text).collect();
    assert!(sorted.iter().map(|text| Stamp::parse(text.as_bytes()).unwrap()).is_sorted());
    assert!(sorted.array_windows().all(|[left, right]| left < right));
}

#[test]
fn vectors() {
    let file = read("vectors.json");
    let regions = file["regions"].as_object().unwrap();
    let code_of = |name: &[u8]| {
        let code = regions.get(std::str::from_utf8(name).ok()?)?;
        text(code).as_bytes().try_into().ok()
    };
    let name_of = |code: [u8; 3]| {
        let mut names = regions.iter().filter(|(_, found)| text(found).as_bytes() == code);
        names.next().map(|(name, _)| name.as_str())
    };
    let parse = |case: &Value| VersionVector::parse(text(case).as_bytes(), code_of);
    for case in cases(&file, "valid", 5) {
        let mut written = String::new();
        parse(&case["text"]).unwrap().write_to(&mut written, name_of).unwrap();
        assert_eq!(case["written"], written);
    }
    for case in cases(&file, "invalid", 20) {
        assert_eq!(parse(&case["text"]), None, "{case}");
    }
    for case in cases(&file, "pairs", 18) {
        let (left, right) = (parse(&case["left"]).unwrap(), parse(&case["right"]).unwrap());
        assert_eq!(left.compare(&right).as_str(), case["causality"], "{case}");
        assert_eq!(right.compare(&left), left.compare(&right).reversed(), "{case}");
    }
}

/// Merges the states of a case in some orders, each state twice, and gives back what they are as
/// one.
fn merged<S>(case: &Value, merge: fn(&mut S, S)) -> S
where
    S: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let read = |state: &Value| from_value::<S>(state.clone()).unwrap();
    let mut states: Vec<&Value> = case["states"].as_array().unwrap().iter().collect();
    let mut result: Option<S> = None;
    for round in 0..2 * states.len() {
        if round == states.len() {
            states.reverse();
        }
        states.rotate_left(1);
        let mut state = read(states[0]);
        for other in states.iter().chain(&states) {
            merge(&mut state, read(other));
        }
        if let Some(result) = &result {
            assert_eq!(state, *result, "{case}");
        }
        result = Some(state);
    }
    let result = result.unwrap();
    assert_eq!(to_value(&result).unwrap(), case["result"], "{}", case["name"]);
    assert_eq!(result, read(&case["result"]), "{}", case["name"]);
    result
}

#[test]
fn registers() {
    for case in cases(&read("merges.json"), "register", 10) {
        merged::<Register<String>>(case, Register::merge);
    }
}

#[test]
fn carts() {
    for case in cases(&read("merges.json"), "cart", 15) {
        let cart = merged::<Cart<String>>(case, Cart::merge);
        let items: Vec<Value> =
            cart.items().map(|(item, count)| json!({"item": item, "quantity": count})).collect();
        assert_eq!(Value::from(items), case["items"], "{}", case["name"]);
    }
}

#[test]
fn stocks() {
    for case in cases(&read("merges.json"), "stock", 14) {
        let stock = merged::<Stock>(case, Stock::merge);
        assert_eq!(json!(stock.quantity()), case["quantity"], "{}", case["name"]);
        let conflicts = to_value(stock.conflicts().collect::<Vec<_>>()).unwrap();
        assert_eq!(conflicts, case["conflicts"], "{}", case["name"]);
    }
}

#[test]
fn reviews() {
    for case in cases(&read("merges.json"), "reviews", 8) {
        merged::<Reviews<String>>(case, Reviews::merge);
    }
}

#[test]
fn what_is_no_state_is_refused() {
    let version = "0192f3a4b5c60007-tyo-3fa29c1b";
    assert!(from_value::<Stamp>(json!("0192f3a4b5c60007-tyo-3fa29c1")).is_err());
    assert!(from_value::<Stamp>(json!(7)).is_err());
    assert!(from_value::<VersionVector>(json!([version, version])).is_err());
    let nine: Vec<String> = (b'a'..=b'i')
        .map(|code| version.replace("tyo", &char::from(code).to_string().repeat(3)))
        .collect();
    assert!(from_value::<VersionVector>(json!(nine[..8])).is_ok());
    assert!(from_value::<VersionVector>(json!(nine)).is_err());
    let row = json!([{"item": "tea", "version": version, "quantity": -1}]);
    assert!(from_value::<Cart<String>>(row).is_err());
}

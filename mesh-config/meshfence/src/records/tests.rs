//! Logs of the native engine: sound as they are, found out when touched, decided again the same.

use super::audit::{Audit, Kind, Secrets};
use super::log::{Entry, Line, Log, Record, entry};
use super::replay::Replay;
use crate::commands::{audit, replay};
use crate::engine::native::Native;
use crate::policy_set::{self, Origin};
use policy_core::wire::Versioning;
use policy_doc::{Case, PolicySet, Purpose};
use proptest::prelude::*;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// What the native engine's proxies sign with.
const SECRET: &str = "the secret of a mesh that exists in one process only";

fn example() -> PolicySet {
    policy_set::require(Origin::Example, Purpose::LocalTry).unwrap()
}

/// The cases of a file of the corpus, or of the example's own.
fn cases(set: &PolicySet, file: Option<&Path>) -> Vec<Case> {
    match file {
        Some(file) => policy_set::tour(Origin::Example, set, Some(file)).unwrap().cases,
        None => set.tests.iter().flat_map(|test| test.cases.iter().cloned()).collect(),
    }
}

/// Every record that playing these cases leaves, as an access log has them.
fn log_of(set: &PolicySet, cases: &[Case]) -> Vec<String> {
    let mut native = Native::new(set);
    let mut lines = Vec::new();
    for case in cases {
        // Some cannot be played here; what can be is enough.
        let Ok(seen) = native.play(case) else { continue };
        for hop in seen.hops {
            let line = json!({"response_code": 200, "decision": hop.record.to_string()});
            lines.push((hop.record["seq"].as_u64(), line.to_string()));
        }
    }
    // Streams end, and are recorded, in another order than they begin.
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

fn corpus() -> Vec<PathBuf> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../host-tests/scenarios");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
    let mut files: Vec<PathBuf> = files.filter(is_yaml).collect();
    files.sort();
    files
}

/// R4: a decision is a pure function of the policy and of what its record says it was given. Every
/// record of a corpus run is decided again by the set that made it, and nothing changes.
///
/// To see it fail, take one input out of what is decided again: let `Given::evidence` forget the
/// countries, or the time; or let a decision depend on something that no record says.
#[test]
fn r4_a_decision_is_replayed_from_its_record() {
    let set = example();
    let mut found = Replay::new(&set);
    let files = corpus();
    let files = files.iter().map(|file| Some(file.as_path())).chain([None]);
    for file in files {
        for line in log_of(&set, &cases(&set, file)) {
            let Entry::Record(record) = entry(line.as_bytes()) else { panic!("{line}") };
            found.see(&record);
        }
    }
    assert!(found.changes.is_empty(), "{:#?}", found.changes);
    assert!(found.judged > 300, "{} judged, {:?} not", found.judged, found.passed_over);
    for why in found.passed_over.keys() {
        assert!(why.ends_with("is not of the policy alone"), "{why}");
    }
}

#[test]
fn another_policy_changes_what_it_says_it_changes() {
    let set = example();
    let lines = log_of(&set, &cases(&set, None));
    let mut other = set.clone();
    // Japan's data may be in Taiwan too.
    let rule = other.body.residency.rules.iter_mut();
    let rule = rule.filter(|rule| rule.when.countries.iter().any(|country| country == "JP"));
    for rule in rule {
        rule.regions = vec!["taiwan".into(), "tokyo".into()];
    }
    let mut found = Replay::new(&other);
    for line in lines {
        if let Entry::Record(record) = entry(line.as_bytes()) {
            found.see(&record);
        }
    }
    let text = anstream::adapter::strip_str(&replay::human(&other, &found)).to_string();
    insta::assert_snapshot!("replay_human", settled(&text));
    let json = replay::machine(&other, &found).replace(other.hash(), "<hash>");
    insta::assert_snapshot!("replay_json", settled(&json));
}

/// A text without the ids of decisions, which are new with every run.
fn settled(text: &str) -> String {
    let mut settled = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("0000000") {
        let (before, id) = rest.split_at(start);
        let end = id.find(|char: char| !char.is_ascii_hexdigit() && char != '-');
        settled = settled + before + "<id>";
        rest = id.get(end.unwrap_or(id.len())..).unwrap_or_default();
    }
    let settled = settled + rest;
    // The width of a table follows its ids.
    settled.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// A log of some VMs' records that are as they should be.
fn sound(secret: Option<&str>) -> Vec<String> {
    static LOGS: LazyLock<[Vec<String>; 2]> = LazyLock::new(|| {
        let set = example();
        let mut open = set.clone();
        open.body.hmac = None;
        // What clients bring back needs a key.
        open.body.versioning = Versioning::default();
        let cases: Vec<Case> =
            cases(&set, None).into_iter().filter(|case| case.state_name == "normal").collect();
        [log_of(&set, &cases), log_of(&open, &cases)]
    });
    let [keyed, open] = &*LOGS;
    if secret.is_some() { keyed.clone() } else { open.clone() }
}

fn audited(lines: &[String], secret: Option<&str>) -> Audit {
    let secrets = secret.map(|secret| ("k1".to_owned(), secret.as_bytes().to_vec()));
    let mut found = Audit::new(Secrets::from_iter(secrets), false);
    let text = lines.join("\n");
    let mut log = Log::new("a.log".into(), text.as_bytes());
    while let Some(line) = log.next().unwrap() {
        found.see(&log.name, &line);
    }
    found.end();
    found
}

fn kinds(found: &Audit) -> Vec<Kind> {
    let of_nodes = found.nodes.values().flat_map(|node| &node.problems);
    of_nodes.chain(&found.problems).map(|problem| problem.kind).collect()
}

#[test]
fn what_was_done_to_a_log_is_found() {
    let lines = sound(Some(SECRET));
    assert!(audited(&lines, Some(SECRET)).is_sound());
    let edit = |from: &str, to: &str| {
        let mut lines = lines.clone();
        let place = lines.iter().position(|line| line.contains(from)).unwrap();
        lines[place] = lines[place].replace(from, to);
        lines
    };
    let touched = |touch: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        touch(&mut lines);
        lines
    };
    for (log, found, why) in [
        (touched(&|lines| drop(lines.remove(3))), &[Kind::Gap][..], "one is gone"),
        (touched(&|lines| drop(lines.drain(2..6))), &[Kind::Gap, Kind::Gap], "some are gone"),
        (touched(&|lines| drop(lines.remove(0))), &[Kind::Gap], "the first one is gone"),
        (touched(&|lines| lines.insert(5, lines[3].clone())), &[Kind::Duplicate], "a copy"),
        (touched(&|lines| lines[2] = "GET /".into()), &[Kind::Gap, Kind::Unreadable], "no record"),
        (edit("\\\"region\\\":\\\"taiwan", "\\\"region\\\":\\\"tokyo"), &[Kind::Edited], "edited"),
    ] {
        let seen = audited(&log, Some(SECRET));
        assert_eq!(kinds(&seen), found, "{why}");
        assert!(!seen.is_sound(), "{why}");
    }
    assert!(kinds(&audited(&lines, Some(&"x".repeat(32)))).contains(&Kind::Edited), "another key");
    assert!(audited(&lines, None).is_sound(), "without a key the links alone are looked at");
    assert!(kinds(&audited(&sound(None), Some(SECRET))).contains(&Kind::Edited), "no key at all");
}

#[test]
fn what_stands_where_it_should_not_is_out_of_order() {
    let node = |line: &String| {
        let Entry::Record(record) = entry(line.as_bytes()) else { panic!("{line}") };
        record.text("node").unwrap().to_owned()
    };
    let lines = sound(None);
    let of_one: Vec<String> =
        lines.iter().filter(|line| node(line) == node(&lines[0])).cloned().collect();
    let mut swapped = of_one.clone();
    swapped.swap(1, 2);
    assert_eq!(kinds(&audited(&swapped, None)), [Kind::Reordered]);
    let again = [of_one.clone(), of_one[..2].to_vec()].concat();
    assert_eq!(kinds(&audited(&again, None)), [Kind::Restarted, Kind::Duplicate]);
}

#[test]
fn what_was_before_a_rotated_log_need_not_be_there() {
    let lines = sound(None);
    let rest = &lines[4..];
    let mut found = Audit::new(Secrets::new(), true);
    for (number, line) in rest.iter().enumerate() {
        found.see("a.log", &Line { number, entry: entry(line.as_bytes()) });
    }
    found.end();
    assert!(found.is_sound(), "{:?}", kinds(&found));
}

#[test]
fn a_record_without_a_chain_is_told() {
    let mut found = Audit::new(Secrets::new(), false);
    for record in [
        json!({"verdict": "allow"}),
        json!({"verdict": "allow", "node": "x", "seq": 1, "prev": "0", "hash": "0"}),
    ] {
        let record = Record { text: record.to_string(), value: record };
        found.see("a.log", &Line { number: 1, entry: Entry::Record(record) });
    }
    assert_eq!(kinds(&found), [Kind::Unchained, Kind::Unchained]);
}

#[test]
fn an_audit_is_told() {
    let mut lines = sound(Some(SECRET));
    lines.truncate(20);
    let whole = audited(&lines, Some(SECRET));
    let unkeyed = audited(&lines, None);
    lines.remove(3);
    let place = 8 + lines[8..].iter().position(|line| line.contains("allow")).unwrap();
    lines[place] = lines[place].replace("allow", "deny");
    lines.push("GET / HTTP/1.1".into());
    let touched = audited(&lines, Some(SECRET));
    let plain = |found: &Audit| anstream::adapter::strip_str(&audit::human(found)).to_string();
    insta::assert_snapshot!("audit_sound", plain(&whole));
    insta::assert_snapshot!("audit_unkeyed", plain(&unkeyed));
    insta::assert_snapshot!("audit_touched", plain(&touched));
    insta::assert_snapshot!("audit_json", audit::machine(&touched));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is done to a log, unless it is only cut off at its end.
    #[test]
    fn no_touch_of_a_log_goes_unseen(
        is_keyed in any::<bool>(),
        what in 0..4_usize,
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let secret = is_keyed.then_some(SECRET);
        let before = sound(secret);
        let mut lines = before.clone();
        let (one, other) = (one.index(lines.len()), other.index(lines.len()));
        let node = |line: &String| match entry(line.as_bytes()) {
            Entry::Record(record) => record.text("node").unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        match what {
            0 => {
                // The last one of a VM is cut off, which nothing after it could show.
                let is_last = !before[one + 1..].iter().any(|line| node(line) == node(&before[one]));
                prop_assume!(!is_last);
                lines.remove(one);
            }
            1 => {
                prop_assume!(one != other && node(&before[one]) == node(&before[other]));
                lines.swap(one, other);
            }
            2 => {
                let copy = lines[one].clone();
                lines.insert(other, copy);
            }
            _ => {
                // A byte of the record itself, not of the line around it.
                let Entry::Record(record) = entry(before[one].as_bytes()) else { panic!() };
                let mut text = record.text.into_bytes();
                let place = place.index(text.len());
                prop_assume!(text[place] != byte);
                text[place] = byte;
                let Ok(text) = String::from_utf8(text) else { return Ok(()) };
                lines[one] = json!({"decision": text}).to_string();
            }
        }
        let found = audited(&lines, secret);
        prop_assert!(!found.is_sound(), "{what}: line {one} of {}: {}", before.len(), lines[one.min(lines.len() - 1)]);
    }
}

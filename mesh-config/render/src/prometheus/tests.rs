//! The rule file: as it is checked in, and of metrics that there are.

use super::{ALERTS_FILE, alerts};
use policy_doc::{PolicySet, Purpose, Source};
use std::fs;
use std::path::PathBuf;

fn root(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

fn example() -> PolicySet {
    let files = ["contexts.yaml", "fencing.yaml", "mesh.yaml", "residency.yaml", "topology.yaml"];
    let sources = files.map(|file| Source {
        file: file.into(),
        text: fs::read_to_string(root("policies/tpe-tokyo").join(file)).unwrap(),
    });
    policy_doc::load(sources.into(), Purpose::Deploy).set.unwrap()
}

#[test]
fn what_is_checked_in_is_what_is_rendered() {
    let command =
        "meshfence render prometheus policies/tpe-tokyo --out mesh-config/tpe-tokyo/prometheus";
    let readme = fs::read_to_string(root("mesh-config/tpe-tokyo/README.md")).unwrap();
    assert!(readme.contains(command), "the README does not say: {command}");
    let found = fs::read_to_string(root("mesh-config/tpe-tokyo/prometheus").join(ALERTS_FILE));
    assert_eq!(found.unwrap(), alerts(&example()), "run: {command}");
}

/// An alert about a metric that no guard has never fires.
#[test]
fn every_alert_is_about_a_metric_of_the_guard() {
    let text = alerts(&example());
    let metrics = fs::read_to_string(root("filters/guard/src/metric.rs")).unwrap();
    let metrics = metrics + &fs::read_to_string(root("policies/policy-core/src/name.rs")).unwrap();
    let mut seen = 0;
    for name in text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_') {
        if name.starts_with("meshfence_") {
            let is_there = metrics.contains(&format!("\"{name}\""));
            assert!(is_there || metrics.contains(&format!(";{name}\"")), "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 7, "{seen}");
}

/// A threshold below what is usual would fire all the time.
#[test]
fn region_state_is_old_when_questions_were_missed() {
    for (poll_ms, old_ms) in [(1_000, "> 5000"), (100, "> 5000"), (4_000, "> 12000")] {
        let mut set = example();
        set.body.fencing.lease.poll_ms = poll_ms;
        assert!(alerts(&set).contains(&format!("milliseconds) {old_ms}")), "{poll_ms}");
    }
}

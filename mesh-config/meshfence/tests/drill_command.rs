//! `meshfence drill --simulate` with timelines of files, and what is told of those that are none.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

const LOST: &str = "apiVersion: meshfence.dev/v1alpha1
kind: Timeline
metadata: {name: tokyo-lost}
spec:
  lasts: 90s
  events:
    - {at: 10s, event: region-lost, region: tokyo}
";

/// A file with this text.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("timeline.yaml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

/// Exit code, standard output and standard error.
fn drill(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshfence"));
    let Output { status, stdout, stderr } = command.arg("drill").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn a_timeline_of_a_file_is_played() {
    let (_directory, path) = file(LOST);
    let path = path.display().to_string();
    let (code, out, err) = drill(&["--simulate", &path]);
    assert_eq!(code, 0, "{out}{err}");
    for part in ["tokyo-lost", "nothing was violated", "writes succeeded again within", "taiwan"] {
        assert!(out.contains(part), "{part}: {out}");
    }

    let (code, out, err) = drill(&["--simulate", &path, "--format", "json"]);
    assert_eq!(code, 0, "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let at = |pointer: &str| told.pointer(&format!("/timelines/0{pointer}")).unwrap();
    assert_eq!(at("/name"), "tokyo-lost");
    assert_eq!(at("/violations"), &Value::Array(Vec::new()));
    assert_eq!(at("/dualWriters"), &Value::Array(Vec::new()));
    assert!(at("/rtoMs").as_u64().is_some_and(|rto_ms| rto_ms <= 60_000), "{out}");
    let moves = at("/moves").as_array().unwrap();
    assert!(moves.iter().any(|it| it.pointer("/to") == Some(&"taiwan".into())), "{moves:?}");
    assert!(!at("/requests").as_array().unwrap().is_empty());
}

#[test]
fn what_is_no_timeline_is_said_where_it_stands() {
    for (change, code, told, why) in [
        (("region-lost", "region-losst"), 3, &["timeline.yaml:7:", "region-lost"][..], "an event"),
        (("tokyo}", "tokio}"), 3, &["timeline.yaml:7:", "tokyo"], "a region"),
        (("at: 10s", "at: 10"), 3, &["timeline.yaml:7:"], "a time without a unit"),
        (("lasts: 90s", "last: 90s"), 3, &["timeline.yaml:5:", "lasts"], "a key"),
        (("kind: Timeline", "kind: Topology"), 3, &["a drill cannot have a `Topology`"], "a kind"),
    ] {
        let (_directory, path) = file(&LOST.replace(change.0, change.1));
        let (found, out, err) = drill(&["--simulate", &path.display().to_string()]);
        assert_eq!((found, out.as_str()), (code, ""), "{why}: {err}");
        for part in told {
            assert!(err.contains(part), "{why}: {part}: {err}");
        }
    }
    let (code, _, err) = drill(&["--simulate", "taiwan-destroid"]);
    assert!(code == 2 && err.contains("taiwan-destroyed"), "{code}: {err}");
}

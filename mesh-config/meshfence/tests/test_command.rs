//! `meshfence test` as CI runs it: exit codes, and what a reader of each format gets.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Cases of which one passes, one does not, and one cannot be played.
const MIXED: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: PolicyTest
metadata: {name: mixed}
spec:
  defaults: {at: {region: taiwan}}
  callers:
    hana: {issuer: shop, sub: hana, claims: {residency: JP}}
    tokyo: {peer: tokyo, subject: TW}
  states:
    # The third of these is refused, so they are never all in flight.
    too-busy: {inFlight: [{request: review, count: 3}]}
  requests:
    profile: {path: /api/v1/customers/me/profile}
    review: {method: POST, path: /api/v1/reviews/9}
  cases:
    - {name: it is routed, caller: hana, request: profile, expect: {verdict: route, region: tokyo}}
    - {name: \"it is <not> held\", caller: hana, request: profile, expect: {verdict: hold, status: 503, upstream: {x-meshfence-via: osaka}}}
    - {name: it is too much, state: too-busy, request: review, expect: {verdict: shed}}
    - {name: from a peer, at: {role: peer}, caller: tokyo, request: profile, expect: {verdict: allow}}
";

struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn run(arguments: &[&str]) -> Ended {
    let ended = Command::new(env!("CARGO_BIN_EXE_meshfence")).arg("test").args(arguments).output();
    let Output { status, stdout, stderr } = ended.unwrap();
    Ended {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

fn mixed() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mixed.yaml");
    std::fs::write(&file, MIXED).unwrap();
    (directory, file)
}

#[test]
fn exit_codes_and_what_is_said() {
    let (directory, file) = mixed();
    let file = file.to_str().unwrap();
    let invalid = directory.path().join("invalid.yaml");
    std::fs::write(&invalid, MIXED.replace("region: taiwan", "region: osaka")).unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/tpe-tokyo");
    for (arguments, code, out, err) in [
        (&[][..], 0, "0 failed", ""),
        (&[example], 0, "0 failed", ""),
        (&[example, file, "--filter", "ROUTED"], 0, "1 passed, 0 failed", ""),
        (&[file, "--role", "peer", "--verbose"], 0, "✓ from a peer", ""),
        (&[file, "--state", "too-busy"], 4, "0 passed, 1 failed", ""),
        (&[file], 4, "2 passed, 2 failed", ""),
        (&[file, "--filter", "nothing like it"], 4, "", "none of the 4 cases is chosen"),
        (&[file, "--role", "outbound"], 4, "", "nothing was tested"),
        (&[invalid.to_str().unwrap()], 3, "", "osaka"),
        (&["no-such-file.yaml"], 2, "", "no-such-file.yaml"),
        (&[example, example], 2, "", "second directory"),
        (&["--engine", "v8"], 2, "", "possible values: native, wasm, envoy"),
        (&["--role", "gateway"], 2, "", "possible values: edge, peer, inbound, outbound"),
    ] {
        let ended = run(arguments);
        let told = format!("{arguments:?}: {}\n{}\n{}", ended.code, ended.out, ended.err);
        assert_eq!(ended.code, code, "{told}");
        assert!(ended.out.contains(out) && ended.err.contains(err), "{told}");
        assert!(!ended.out.contains('\u{1b}') && !ended.err.contains('\u{1b}'), "{told}");
    }
}

#[cfg(not(feature = "wasm"))]
#[test]
fn an_engine_that_is_not_built_in_is_refused_with_how_to_build_it() {
    let ended = run(&["--engine", "native,wasm"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    for part in ["built without the engine `wasm`", "cargo run --features wasm -- test"] {
        assert!(ended.err.contains(part), "{}", ended.err);
    }
}

#[cfg(feature = "wasm")]
#[test]
fn two_engines_are_held_against_each_other() {
    let (_directory, file) = mixed();
    let file = file.to_str().unwrap();
    let told = run(&[file, "--engine", "native,wasm,native"]);
    assert_eq!(told.code, 4);
    for part in [
        "on native (in this process) and wasm (the module, in this process)",
        "engine  played  passed  differs",
        "native       3       2        0",
        "wasm         3       2        0",
        "3 the same on native and wasm",
        "1 on no engine",
        "2 passed, 2 failed",
    ] {
        assert!(told.out.contains(part), "no `{part}` in:\n{}", told.out);
    }
    let json = run(&[file, "--engine", "wasm,native", "--format", "json"]).out;
    let report: Value = serde_json::from_str(&json).unwrap();
    let engine = &report["engines"][0];
    assert_eq!((&engine["engine"], &engine["played"]), (&"wasm".into(), &3.into()));
    assert_eq!((&engine["passed"], &engine["differs"]), (&2.into(), &0.into()));
    let same = serde_json::json!({"between": [["wasm", "native"]], "cases": 3});
    assert_eq!(report["agreements"][0], same);
}

#[test]
fn a_failure_is_told_in_full() {
    let (_directory, file) = mixed();
    let told = run(&[file.to_str().unwrap()]).out;
    for part in [
        "failed: it is <not> held",
        &format!("{}:17: edge of taiwan, state normal, caller hana", file.display()),
        "verdict: expected hold, found route",
        "status: expected 503, found 200",
        "upstream header x-meshfence-via: expected `osaka`, found `taiwan`",
        "GET /api/v1/customers/me/profile",
        "authorization: Bearer (token of hana)",
        "edge of taiwan: {",
        "peer of tokyo: {",
        "inbound of tokyo: {",
        "x-meshfence-subject: JP",
        "x-echo-region: tokyo",
        "not played: a request that should be in flight was answered: 503",
    ] {
        assert!(told.contains(part), "no `{part}` in:\n{told}");
    }
}

#[test]
fn machines_read_json() {
    let (_directory, file) = mixed();
    let ended = run(&[file.to_str().unwrap(), "--format", "json"]);
    assert_eq!(ended.code, 4);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&report["passed"], &report["failed"]), (&2.into(), &2.into()));
    assert_eq!(report["engines"][0]["engine"], "native");
    let case = &report["cases"][1];
    assert_eq!((&case["line"], &case["passed"]), (&17.into(), &false.into()));
    let play = &case["plays"][0];
    assert_eq!(play["mismatches"][0]["what"], "verdict");
    assert_eq!(play["observed"]["records"].as_array().unwrap().len(), 3);
    assert_eq!(play["observed"]["region"], "tokyo");
    let stuck = &report["cases"][2]["plays"][0];
    assert!(
        stuck["trouble"].as_str().unwrap().contains("in flight") && stuck["observed"].is_null()
    );
}

#[test]
fn ci_reads_junit() {
    let (_directory, file) = mixed();
    let ended = run(&[file.to_str().unwrap(), "--format", "junit"]);
    assert_eq!(ended.code, 4);
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(lines[0], "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    assert!(lines[1].contains("tests=\"4\" failures=\"2\" errors=\"0\""), "{}", lines[1]);
    let count = |part: &str| ended.out.matches(part).count();
    assert_eq!((count("<testcase "), count("<failure "), count("</failure>")), (4, 2, 2));
    assert_eq!((count("<testsuite "), count("</testsuite>"), count("</testsuites>")), (1, 1, 1));
    assert!(ended.out.contains("name=\"it is &lt;not&gt; held\""));
    assert!(ended.out.contains("message=\"native: verdict: expected hold, found route\""));
    assert!(!ended.out.contains("<not>"));
}

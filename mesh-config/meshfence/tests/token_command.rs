//! `meshfence token session`, `map` and `name`: what a key signs, where the key comes from, and what
//! is told of one that is not there.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::path::PathBuf;
use std::process::{Command, Output};

const SECRET: &str = "a secret of thirty-two bytes and more";

struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshfence"));
    command.arg("token").args(arguments).env_remove("MESHFENCE_SUBJECTS_K1");
    command.env_remove("MESHFENCE_SUBJECTS_K2").envs(environment.iter().copied());
    let Output { status, stdout, stderr } = command.output().unwrap();
    Ended {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap().trim().to_owned(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// The policy set of the corpus that has keys and a tenant map.
fn subjects() -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("host-tests/scenarios/subjects").display().to_string()
}

#[test]
fn a_key_signs() {
    let set = subjects();
    let k1 = ("MESHFENCE_SUBJECTS_K1", SECRET);
    let k2 = ("MESHFENCE_SUBJECTS_K2", SECRET);
    for (arguments, environment, starts, length) in [
        (&["session", &set, "--country", "JP"][..], k2, "v1.k2.", 7),
        (&["session", &set, "--key", "k1", "--kind", "staff"], k1, "v1.k1.", 7),
        (&["map", &set], k2, "k2:", 1),
        (&["map", &set, "--map", "partners", "--key", "k1"], k1, "k1:", 1),
        (&["name", &set, "--id", "u-17"], k2, "k2:", 1),
        (
            &["name", &set, "--id", "u-17", "--key-env", "MESHFENCE_X"],
            ("MESHFENCE_X", SECRET),
            "k2:",
            1,
        ),
    ] {
        let ended = run(arguments, &[environment]);
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.err);
        assert!(ended.out.starts_with(starts), "{arguments:?}: {}", ended.out);
        assert_eq!(ended.out.split('.').count(), length, "{}", ended.out);
        assert!(!ended.out.contains("u-17") && !ended.out.contains(SECRET));
        let again = run(arguments, &[environment]).out;
        // Only sessions say when they were made.
        assert!(length > 1 || again == ended.out, "{arguments:?}");
    }
}

#[test]
fn a_key_that_is_not_there_is_told() {
    let set = subjects();
    let short = ("MESHFENCE_SUBJECTS_K2", "short");
    let there = ("MESHFENCE_SUBJECTS_K2", SECRET);
    for (arguments, environment, message) in [
        (&["session", &set][..], &[][..], "`MESHFENCE_SUBJECTS_K2` is not set"),
        (&["map", &set], &[short], "or shorter than 32 bytes"),
        (&["map", &set, "--key", "k3"], &[there], "`k3` is no key of the policy set"),
        (&["map", &set, "--map", "partner"], &[there], "`partner` is no tenant map"),
        (&["map"], &[there], "the policy set has no tenant map"),
    ] {
        let ended = run(arguments, environment);
        assert_eq!(ended.code, 2, "{arguments:?}");
        assert!(ended.err.contains(message), "{arguments:?}: {}", ended.err);
    }
}

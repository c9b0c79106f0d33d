//! Rendered files as an operator handles them: written, held against the policy set, drifted.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use suite::{Check, Trouble, meshfence_binary};

/// The checksum of no bytes.
const PIN: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Runs the command; an account of what is not as expected.
fn run(arguments: &[&OsStr], code: i32, says: &[&str]) -> Result<String, Trouble> {
    let output = Command::new(meshfence_binary()?).args(arguments).output()?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    let mut account = String::new();
    if output.status.code() != Some(code) {
        let _ = writeln!(account, "{arguments:?}: {}, not {code}: {text}", output.status);
    }
    for said in says {
        if !text.contains(said) {
            let _ = writeln!(account, "{arguments:?}: does not say `{said}`: {text}");
        }
    }
    Ok(account)
}

fn istio(out: &Path, more: &[&str], code: i32, says: &[&str]) -> Result<String, Trouble> {
    let mut arguments: Vec<&OsStr> = ["render", "istio", "--out"].map(OsStr::new).to_vec();
    arguments.push(out.as_os_str());
    arguments.extend(more.iter().map(OsStr::new));
    run(&arguments, code, says)
}

#[test]
fn drift_from_the_policy_set_is_found_and_nothing_is_written() -> Check {
    let temp = tempfile::tempdir()?;
    let out = temp.path().join("istio");
    let pinned = ["--plugin-sha256", PIN];
    let check = ["--plugin-sha256", PIN, "--check"];
    let mut account = istio(&out, &[], 2, &["the plugin is not pinned", "--plugin-sha256"])?;
    account += &istio(&out, &["--plugin-sha256", "latest"], 2, &["`latest` is no SHA-256"])?;
    account += &istio(&out, &check, 6, &["12 files are missing", "1-wasmplugin.yaml: missing"])?;
    if out.exists() {
        account += "a refusal or a check wrote something\n";
    }
    account += &istio(&out, &pinned, 0, &["taiwan", "6-virtualservice.yaml"])?;
    account += &istio(&out, &check, 0, &["ok: 12 files, none differs"])?;

    let routes = out.join("tokyo/6-virtualservice.yaml");
    let rendered = fs::read_to_string(&routes)?;
    let drifted = rendered.replacen("attempts: 0", "attempts: 2", 1);
    fs::write(&routes, &drifted)?;
    fs::write(out.join("tokyo/meshfence-old.yaml"), "kind: WasmPlugin\n")?;
    fs::remove_file(out.join("taiwan/5-gateway.yaml"))?;
    account += &istio(
        &out,
        &check,
        6,
        &[
            "-      attempts: 2\n+      attempts: 0",
            "@@",
            "meshfence-old.yaml: should not be there",
            "5-gateway.yaml: missing",
            "1 file differs, 1 file is missing, 1 file should not be there",
        ],
    )?;
    if fs::read_to_string(&routes)? != drifted || out.join("taiwan/5-gateway.yaml").exists() {
        account += "a check wrote something\n";
    }
    // What is written anew is as it should be; what is not ours to delete is named.
    account += &istio(&out, &pinned, 0, &["meshfence-old.yaml` is not part of what was rendered"])?;
    if fs::read_to_string(&routes)? != rendered {
        account += "the second rendering differs\n";
    }
    Trouble::unless_empty(&account)
}

/// The commands of the README beside the checked-in files, each with `--check`.
#[test]
fn what_is_checked_in_has_not_drifted() -> Check {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(root.join("mesh-config/tpe-tokyo/README.md"))?;
    let blocks = readme.split("```sh\n").skip(1);
    let commands: Vec<String> =
        blocks.filter_map(|block| Some(block.split("```").next()?.replace("\\\n", " "))).collect();
    let mut account = String::new();
    for command in &commands {
        let arguments: Vec<&str> = command.split_whitespace().skip(1).chain(["--check"]).collect();
        let output =
            Command::new(meshfence_binary()?).args(&arguments).current_dir(&root).output()?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stdout);
            let said = String::from_utf8_lossy(&output.stderr);
            let _ = writeln!(account, "{arguments:?}: {}\n{told}{said}", output.status);
        }
    }
    if commands.len() != 3 {
        let _ = writeln!(account, "the README has {} commands", commands.len());
    }
    Trouble::unless_empty(&account)
}

//! The command as users run it.

use crate::Trouble;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const NAME: &str = "meshfence";

/// What the names of variables begin with that cargo sets for a test.
const NOT_INHERITED: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_"];

/// The command's executable, built in the profile of this test if it is not there yet. Cargo makes
/// executables only for tests of their own package; it holds no lock while tests run.
///
/// # Errors
/// What the compiler says.
pub fn meshfence_binary() -> Result<PathBuf, Trouble> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(build).clone().map_err(Trouble::new)
}

fn build() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    // <target>/<profile>/deps/<test>
    let profile_dir = own.ancestors().nth(2).ok_or("this test is not in a target directory")?;
    let target = profile_dir.parent().ok_or("this test is not in a target directory")?;
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo tells this test of its own package is not there when people run cargo; build
    // scripts that look would do their work again, each time the one runs after the other.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if NOT_INHERITED.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
    let output = cargo
        .current_dir(workspace)
        .args(["build", "--package", NAME, "--bin", NAME, "--profile", profile])
        .args(["--message-format", "json-render-diagnostics", "--target-dir"])
        .arg(target)
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name").and_then(Value::as_str) == Some(NAME))
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .ok_or_else(|| String::from("cargo names no executable"))
}

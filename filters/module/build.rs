//! Builds the module for WebAssembly, so that whoever needs its bytes has those of this very source.
//!
//! It shares the target directory of the outer build. Cargo locks a directory for each profile and
//! target, and the profile `module` is used for nothing else, so the inner build waits for nobody;
//! debug and release builds of the command use the same module.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip1";
const PROFILE: &str = "module";

/// Flags for the outer build that would make another module of it.
const NOT_INHERITED: &[&str] = &[
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS",
    "CLIPPY_ARGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
];
/// The same, of whole families.
const NOT_INHERITED_PREFIX: &str = "CARGO_PROFILE_";

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    if variable("CARGO_CFG_TARGET_ARCH")? == "wasm32" {
        return Ok(());
    }
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = manifest.join("../..");
    for path in [
        "Cargo.toml",
        "Cargo.lock",
        "filters",
        "policies/policy-core/Cargo.toml",
        "policies/policy-core/src",
        "policies/versions/Cargo.toml",
        "policies/versions/src",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    let out = PathBuf::from(variable("OUT_DIR")?);
    let triple = variable("TARGET")?;
    let target =
        target_directory(&out, OsStr::new(&triple)).ok_or("OUT_DIR lies in no target directory")?;
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .args(["rustc", "--locked", "--package", "module", "--lib", "--crate-type", "cdylib"])
        .args(["--profile", PROFILE, "--target", TARGET, "--target-dir"])
        .arg(&target)
        .arg("--manifest-path")
        .arg(workspace.join("Cargo.toml"));
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with(NOT_INHERITED_PREFIX) {
            cargo.env_remove(name);
        }
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(&workspace)?);
    let status = cargo.status().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !status.success() {
        return Err(format!(
            "the module was not built for {TARGET}; if that target is missing: \
             rustup target add {TARGET}"
        ));
    }
    let built = target.join(TARGET).join(PROFILE).join("module.wasm");
    let carried = out.join("meshfence.wasm");
    std::fs::copy(&built, &carried)
        .map_err(|error| format!("{} cannot be copied: {error}", built.display()))?;
    Ok(())
}

/// The target directory of the outer build: `OUT_DIR` is
/// `<target>[/<triple>]/<profile>/build/<package>/out`.
fn target_directory(out: &Path, triple: &OsStr) -> Option<PathBuf> {
    let profile = out.ancestors().nth(3)?;
    let above = profile.parent()?;
    let target = if above.file_name() == Some(triple) { above.parent()? } else { above };
    if profile.file_name() == Some(OsStr::new(PROFILE)) {
        // The outer build holds the lock that the inner one would wait for.
        return Some(target.join(TARGET).join("nested"));
    }
    Some(target.to_owned())
}

/// The same sources make the same module wherever they lie, and whichever registry they are from:
/// panics name the file they are in. Of several flags that match the last one counts.
fn flags(workspace: &Path) -> Result<OsString, String> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let workspace = workspace.canonicalize().map_err(|error| error.to_string())?;
    let mut from: Vec<(PathBuf, &str)> = Vec::new();
    if let Some(home) = home {
        // A registry's folder has a name of its own: a mirror's is another one.
        let registries = std::fs::read_dir(home.join("registry").join("src"));
        let registries = registries.into_iter().flatten().flatten();
        from.push((home, "/cargo"));
        from.extend(registries.map(|registry| (registry.path(), "/cargo")));
        from.sort();
    }
    from.push((workspace, "/meshfence"));
    let mut flags = OsString::new();
    for (from, to) in from {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(from);
        flags.push("=");
        flags.push(to);
    }
    Ok(flags)
}

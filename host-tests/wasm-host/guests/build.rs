//! Builds the guests for WebAssembly, so that a test plays those of this very source.
//!
//! The target directory is one of its own, within `OUT_DIR`: the inner build waits for nobody. The
//! profile is that of the module: optimised as plugins are, with names, and with overflow checked.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip1";
const PROFILE: &str = "module";

/// Flags for the outer build that would make other guests of it.
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
    let workspace = manifest.join("../../..");
    for path in [
        manifest.join("Cargo.toml"),
        manifest.join("src"),
        workspace.join("Cargo.toml"),
        workspace.join("Cargo.lock"),
    ] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let target = PathBuf::from(variable("OUT_DIR")?).join("target");
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .args(["rustc", "--locked", "--package", "guests", "--lib", "--crate-type", "cdylib"])
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
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags());
    let status = cargo.status().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !status.success() {
        return Err(format!(
            "the guests were not built for {TARGET}; if that target is missing: \
             rustup target add {TARGET}"
        ));
    }
    let built = target.join(TARGET).join(PROFILE).join("guests.wasm");
    println!("cargo::rustc-env=GUESTS_WASM={}", built.display());
    Ok(())
}

/// A panic of the SDK names the file it is in: it says the same wherever packages are kept.
fn flags() -> OsString {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let registries = home.map(|home| directories(&home.join("registry/src"))).unwrap_or_default();
    let mut flags = OsString::new();
    for registry in registries {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(registry);
        flags.push("=/registry");
    }
    flags
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

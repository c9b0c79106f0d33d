//! Builds the module for WebAssembly, so that whoever needs its bytes has those of this very source.
//!
//! It shares the target directory of the outer build. Cargo locks a directory for each profile and
//! target, and the profile `module` is used for nothing else, so the inner build waits for nobody;
//! debug and release builds of the command use the same module.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip1";
const PROFILE: &str = "module";

/// Flags for the outer build that would make another module of it.
const NOT_INHERITED: &[&str] = &[
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS",
    "CLIPPY_ARGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
];

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
    let target = target_directory(&out).ok_or("OUT_DIR lies in no target directory")?;
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

/// The target directory of the outer build: `OUT_DIR` is `<target>[/<triple>]/<profile>/build/…`,
/// and Cargo marks the target directory with a tag.
fn target_directory(out: &Path) -> Option<PathBuf> {
    let is_target = |directory: &&Path| directory.join("CACHEDIR.TAG").is_file();
    out.ancestors().find(is_target).map(Path::to_owned)
}

//! The rules of ARCHITECTURE.md, as tests.
#![expect(clippy::unwrap_used, reason = "a repository that cannot be read fails the test")]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which crates of the workspace a crate may depend on.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("policy-core", &[]),
    ("versions", &[]),
    ("policy-doc", &["policy-core"]),
    ("residency", &["policy-core"]),
    ("fencing", &["policy-core"]),
    ("load-shed", &["policy-core"]),
    ("origin-tag", &["policy-core", "versions"]),
    ("guard", &["fencing", "load-shed", "origin-tag", "policy-core", "residency"]),
    ("module", &["guard"]),
    ("render", &["policy-core", "policy-doc"]),
    ("local-mesh", &[]),
    ("wasm-host", &[]),
    ("guests", &[]),
    ("simulation", &["fencing", "load-shed", "policy-core", "policy-doc", "versions"]),
    ("bench", &["local-mesh", "module", "policy-core", "policy-doc", "render", "simulation"]),
    ("trial", &["fencing", "guard", "module", "policy-core", "policy-doc", "wasm-host"]),
];

/// Crates that may know everything.
const FREE: &[&str] = &["meshfence", "suite"];

/// Crates that reach the module.
const IN_THE_MODULE: &[&str] = &[
    "policy-core",
    "versions",
    "residency",
    "fencing",
    "load-shed",
    "origin-tag",
    "guard",
    "module",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap()
}

fn directory(package: &Package) -> PathBuf {
    package.manifest_path.parent().unwrap().as_std_path().to_owned()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn dependencies_point_one_way() {
    let metadata = metadata();
    let ours: BTreeSet<&str> =
        metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let rules: BTreeMap<&str, &[&str]> = MAY_DEPEND_ON.iter().copied().collect();
    for package in &metadata.packages {
        let name = package.name.as_str();
        if FREE.contains(&name) {
            continue;
        }
        let allowed = rules.get(name).unwrap_or_else(|| panic!("{name} is in no rule"));
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            let is_normal = dependency.kind != DependencyKind::Development;
            assert!(
                !is_normal || !ours.contains(to) || allowed.contains(&to),
                "{name} depends on {to}"
            );
        }
    }
}

#[test]
fn guests_are_for_tests() {
    for package in &metadata().packages {
        for dependency in package.dependencies.iter().filter(|found| found.name == "guests") {
            assert_eq!(dependency.kind, DependencyKind::Development, "{}", package.name);
        }
    }
}

#[test]
fn what_is_foreign_is_known_to_few() {
    for (dependency, known_to) in [
        ("proxy-wasm", &["guests"][..]),
        ("log", &["guests"]),
        ("clap", &["bench", "meshfence"]),
        ("tokio", &["bench", "local-mesh", "meshfence", "suite", "wasm-host"]),
        ("hyper", &["bench", "local-mesh", "wasm-host"]),
        ("kuva", &["bench", "simulation"]),
        ("p256", &["meshfence"]),
        ("stateright", &["simulation"]),
        ("testcontainers", &["suite"]),
        ("wasmtime", &["wasm-host"]),
    ] {
        for package in &metadata().packages {
            let depends = package.dependencies.iter().any(|found| found.name == dependency);
            let allowed = known_to.contains(&package.name.as_str());
            assert!(!depends || allowed, "{} depends on {dependency}", package.name);
        }
    }
}

#[test]
fn the_command_takes_a_webassembly_runtime_only_if_asked_to() {
    let metadata = metadata();
    let command = metadata.packages.iter().find(|package| package.name.as_str() == "meshfence");
    let command = command.unwrap();
    assert_eq!(command.features.get("default"), None);
    let host = command.dependencies.iter().find(|found| found.name == "wasm-host").unwrap();
    assert!(host.optional && host.kind == DependencyKind::Normal);
}

#[test]
fn every_crate_lies_in_a_folder_of_its_name_and_on_the_map() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for package in &metadata().packages {
        let directory = directory(package);
        assert_eq!(directory.file_name().unwrap().to_str(), Some(package.name.as_str()));
        assert!(map.contains(&format!("**`{}`**", package.name)), "{} is not mapped", package.name);
    }
}

#[test]
fn every_path_that_the_documents_name_exists() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path = ["policies/", "filters/", "mesh-config/", "host-tests/"]
                .iter()
                .any(|folder| quoted.starts_with(folder));
            if is_path {
                assert!(root().join(quoted).exists(), "{document} names {quoted}");
            }
        }
    }
}

#[test]
fn the_top_level_is_four_folders_and_the_customary_files() {
    let known = [
        ".cargo",
        ".ci",
        ".config",
        ".git",
        ".gitignore",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "clippy.toml",
        "compose.yaml",
        "deny.toml",
        "filters",
        "host-tests",
        "mesh-config",
        "policies",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "target",
    ];
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn the_core_is_no_std_and_pure_crates_touch_no_world() {
    for package in &metadata().packages {
        let name = package.name.as_str();
        let source = directory(package).join("src");
        if ["policy-core", "versions"].contains(&name) {
            let lib = fs::read_to_string(source.join("lib.rs")).unwrap();
            assert!(lib.contains("#![no_std]"), "{name}");
        }
        let is_pure = name == "policy-doc" || (IN_THE_MODULE.contains(&name) && name != "module");
        if !is_pure {
            continue;
        }
        let mut files = Vec::new();
        sources(&source, &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for world in
                ["std::fs", "std::net", "std::env", "std::process", "SystemTime", "Instant"]
            {
                assert!(!text.contains(world), "{} touches {world}", file.display());
            }
        }
    }
}

#[test]
fn what_reaches_the_module_checks_its_arithmetic_and_has_no_unsafe_code_but_the_abi() {
    for package in &metadata().packages {
        if !IN_THE_MODULE.contains(&package.name.as_str()) {
            continue;
        }
        let source = directory(package).join("src");
        let lib = fs::read_to_string(source.join("lib.rs")).unwrap();
        assert!(lib.contains("#![deny(clippy::arithmetic_side_effects)]"), "{}", package.name);
        let forbids = lib.contains("#![forbid(unsafe_code)]");
        assert!(forbids || package.name.as_str() == "module", "{}", package.name);
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    for package in &metadata().packages {
        let mut files = Vec::new();
        sources(&directory(package), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("//!"), "{} has no module documentation", file.display());
            let lines = text.lines().count();
            assert!(lines <= 700, "{} has {lines} lines", file.display());
        }
    }
}

#[test]
fn header_names_stand_in_one_module() {
    let mut files = Vec::new();
    for folder in ["policies", "filters", "mesh-config"] {
        sources(&root().join(folder), &mut files);
    }
    for file in files {
        let is_test =
            file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
        let is_list = ["guard/src/header.rs", "policy-core/src/name.rs"];
        if is_test || is_list.iter().any(|list| file.ends_with(list)) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let literal = code
            .lines()
            .find(|line| !line.trim_start().starts_with("//") && line.contains("\"x-meshfence"));
        assert_eq!(literal, None, "{}", file.display());
    }
}

#[test]
fn every_header_of_ours_is_in_the_table() {
    let lists = ["filters/guard/src/header.rs", "policies/policy-core/src/name.rs"];
    let mut known = BTreeSet::new();
    for list in lists {
        let text = fs::read_to_string(root().join(list)).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        let quoted = code.split('"').skip(1).step_by(2);
        known.extend(quoted.filter(|name| name.starts_with("x-meshfence-")).map(str::to_owned));
    }
    known.remove("x-meshfence-");
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = map.lines().filter_map(|line| line.strip_prefix("| `x-meshfence-"));
    let listed: BTreeSet<String> =
        rows.filter_map(|row| Some(format!("x-meshfence-{}", row.split('`').next()?))).collect();
    assert_eq!(known, listed);
}

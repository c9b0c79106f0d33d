//! `meshfence render envoy` with what Envoys read again while they run: certificates for this
//! machine, and configurations apart from the bootstrap.
#![cfg(target_os = "linux")]

use local_mesh::client::RawRequest;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use suite::machine::{Machine, finish};
use suite::{Check, Trouble, envoy, send};
use tokio::process::Command;

/// Every file below a directory: what it says, and who may read it.
fn files(directory: &Path) -> Result<BTreeMap<PathBuf, (Vec<u8>, u32)>, Trouble> {
    let mut files = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in std::fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let mode = std::fs::metadata(&path)?.permissions().mode() & 0o777;
            let name = path.strip_prefix(directory).map_err(|_| Trouble::new("elsewhere"))?;
            files.insert(name.to_owned(), (std::fs::read(&path)?, mode));
        }
    }
    Ok(files)
}

#[tokio::test]
async fn certificates_and_configurations_are_files_that_envoys_accept() -> Check {
    let machine = Machine::new().await?;
    let out = machine.path("rendered");
    let out_text = out.to_string_lossy();
    let plain = ["render", "envoy", "--out", &out_text];
    let full = [&plain[..], &["--local-certificates", "--config-files"]].concat();
    let mut account = machine.run(&full).await?.check("render", 0, &["expire in 24 h"]);
    let envoy = envoy().await?.path;
    for region in ["taiwan", "tokyo"] {
        let mut command = Command::new(&envoy);
        command.args(["--mode", "validate", "-l", "warn", "-c"]);
        command.arg(out.join(format!("{region}.yaml"))).kill_on_drop(true);
        account += &finish(command).await?.check(region, 0, &["OK"]);
    }
    let first = files(&out)?;
    for (path, (bytes, mode)) in &first {
        let secret = String::from_utf8_lossy(bytes).contains("PRIVATE KEY");
        let expected = path.ends_with("identity.yaml") || path.ends_with("local-certificates.json");
        // Writing into a String cannot fail.
        if secret != expected {
            let _ = writeln!(account, "a key in {}: {secret}", path.display());
        }
        if path.ends_with("local-certificates.json") && path.starts_with("tls") {
            let _ = writeln!(account, "every authority's key is where Envoys read");
        }
        if secret && *mode != 0o600 {
            let _ = writeln!(account, "{}: mode {mode:o}", path.display());
        }
    }
    for role in ["edge", "peer", "inbound", "outbound"] {
        if !first.contains_key(&Path::new("plugin/tokyo").join(format!("{role}.yaml"))) {
            let _ = writeln!(account, "{role} has no configuration");
        }
    }
    // Certificates that have their time before them stay as they are.
    account += &machine.run(&full).await?.check("again", 0, &[]);
    if files(&out)? != first {
        let _ = writeln!(account, "a second rendering differs");
    }
    // New keys are nobody's drift, but without the flag they are not what would be rendered.
    let check = |arguments: &[&'static str]| [&plain[..], arguments, &["--check"]].concat();
    let all = machine.run(&check(&["--local-certificates", "--config-files"])).await?;
    account += &all.check("check", 0, &["none differs"]);
    let identity = out.join("tls/taiwan/identity.yaml");
    let kept = std::fs::read(&identity)?;
    std::fs::remove_file(&identity)?;
    std::fs::write(out.join("tls/tokyo/old.yaml"), "resources: []\n")?;
    let peers = out.join("tls/tokyo/peers.yaml");
    let changed = std::fs::read_to_string(&peers)?.replace("taiwan.shop", "elsewhere.shop");
    std::fs::write(&peers, changed)?;
    let drifted = machine.run(&check(&["--local-certificates", "--config-files"])).await?;
    account += &drifted.check(
        "check of what has drifted",
        6,
        &[
            "taiwan/identity.yaml: missing",
            "old.yaml: should not be there",
            "elsewhere.shop",
            "1 file differs, 1 file is missing, 1 file should not be there",
        ],
    );
    std::fs::remove_file(out.join("tls/tokyo/old.yaml"))?;
    std::fs::write(&identity, kept)?;
    let other = machine.run(&check(&["--config-files"])).await?;
    account += &other.check("check without certificates", 6, &["identity.yaml", "is not shown"]);
    if other.out.contains("PRIVATE KEY") || other.err.contains("PRIVATE KEY") {
        account += "a check without certificates shows the key\n";
    }
    Trouble::unless_empty(&account)
}

#[tokio::test]
async fn where_an_operators_certificates_go_is_said_and_no_key_is_made() -> Check {
    let machine = Machine::new().await?;
    let out = machine.path("rendered");
    let arguments = ["render", "envoy", "--out", &out.to_string_lossy()];
    let mut account = machine.run(&arguments).await?.check("render", 0, &["identity.yaml"]);
    let files = files(&out)?;
    for (path, (bytes, _)) in &files {
        if String::from_utf8_lossy(bytes).contains("PRIVATE KEY") {
            let _ = writeln!(account, "a key in {}", path.display());
        }
    }
    let identity = files.get(Path::new("tls/taiwan/identity.yaml"));
    let text = identity.map(|(bytes, _)| String::from_utf8_lossy(bytes)).unwrap_or_default();
    for part in [
        "spiffe://taiwan.shop/ns/gateways/sa/peer",
        "tls/taiwan/certificate.pem",
        "tls/taiwan/key.pem",
        "Put the region's certificate and key",
    ] {
        if !text.contains(part) {
            let _ = writeln!(account, "identity.yaml does not say `{part}`: {text}");
        }
    }
    Trouble::unless_empty(&account)
}

#[tokio::test]
async fn a_region_whose_certificate_nobody_would_believe_is_not_rendered() -> Check {
    let machine = Machine::new().await?;
    let id = |account: &str| format!("        - spiffe://tokyo.shop/ns/gateways/sa/{account}\n");
    let believed = [id("public"), id("peer")].concat();
    let set = machine.policy_set("set", &[("mesh.yaml", &believed, &id("public"))])?;
    let out = machine.path("rendered");
    let arguments = ["render", "envoy", "--out", &out.to_string_lossy(), &set.to_string_lossy()];
    let mut account = machine.run(&arguments).await?.check("render", 3, &["gatewayIds", "`tokyo`"]);
    if out.exists() {
        let _ = writeln!(account, "something was written");
    }
    Trouble::unless_empty(&account)
}

/// A mesh of one region, as small as it gets.
const ALONE: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: Topology
metadata: {name: alone}
spec:
  regions: [{name: taiwan, code: tpe, jurisdiction: TW}]
---
apiVersion: meshfence.dev/v1alpha1
kind: Mesh
metadata: {name: alone}
spec:
  hosts: [api.shop.example]
  regions:
    taiwan:
      peerIds: [spiffe://taiwan.shop/ns/gateways/sa/peer]
      gatewayIds: [spiffe://taiwan.shop/ns/gateways/sa/peer]
  jwt:
    - name: shop
      issuer: https://id.shop.example
      audiences: [shop]
      jwksUri: https://id.shop.example/jwks
      principalKind: {claim: kind, default: customer}
  health: {paths: [/ready]}
---
apiVersion: meshfence.dev/v1alpha1
kind: Contexts
metadata: {name: alone}
spec:
  unmatched: {action: deny, status: 404}
  contexts:
    - name: catalog
      match: [{path: /api/v1/products/**}]
      consistency: replicated
      dataClasses: [public]
---
apiVersion: meshfence.dev/v1alpha1
kind: Residency
metadata: {name: alone}
spec:
  mode: enforce
  home: {\"*\": taiwan}
  subjectSources: [{jwtClaim: {issuer: shop, claim: residency}}]
  onUnknownSubject: deny
  rules: [{name: here, when: {dataClasses: [personal], subjectCountries: [\"*\"]}, regions: [taiwan]}]
---
apiVersion: meshfence.dev/v1alpha1
kind: Fencing
metadata: {name: alone}
spec: {mode: disabled}
---
apiVersion: meshfence.dev/v1alpha1
kind: Versioning
metadata: {name: alone}
spec: {mode: enforce}
---
apiVersion: meshfence.dev/v1alpha1
kind: LoadShedding
metadata: {name: alone}
spec: {mode: enforce, status: 503, concurrency: {default: 64}}
";

#[tokio::test]
async fn a_region_without_others_is_rendered_whole_and_serves() -> Check {
    let machine = Machine::new().await?;
    let set = machine.path("alone");
    std::fs::create_dir(&set)?;
    std::fs::write(set.join("set.yaml"), ALONE)?;
    let (set, out) = (set.to_string_lossy().into_owned(), machine.path("rendered"));
    let render = ["render", "envoy", &set, "--out", &out.to_string_lossy()];
    let render = [&render[..], &["--local-certificates", "--config-files"]].concat();
    Trouble::unless_empty(&machine.run(&render).await?.check("render", 0, &[]))?;
    let mut account = String::new();
    for absent in ["tls/taiwan/peers.yaml", "plugin/taiwan/peer.yaml"] {
        if out.join(absent).exists() {
            let _ = writeln!(account, "{absent} is there");
        }
    }
    let mut command = Command::new(envoy().await?.path);
    command.args(["--mode", "validate", "-l", "warn", "-c"]);
    command.arg(out.join("taiwan.yaml")).kill_on_drop(true);
    account += &finish(command).await?.check("taiwan", 0, &["OK"]);

    let mut up = machine.up(&[&set]).await?;
    let response = send(up.edge, &RawRequest::new("GET", "/api/v1/products/1")).await?;
    if response.status != 200 || response.header("x-echo-region") != Some(b"taiwan") {
        let _ = writeln!(account, "{response:?}");
    }
    up.signal(Signal::TERM)?;
    let status = up.ends().await?;
    if status.code() != Some(0) {
        let _ = writeln!(account, "{status}: {}", machine.errors()?);
    }
    Trouble::unless_empty(&account)
}

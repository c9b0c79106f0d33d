//! Decision records of real Envoys: their logs are whole, and a cluster that leads to another region
//! than it says is found out.

use local_mesh::client::RawRequest;
use local_mesh::launch::Variables;
use local_mesh::mesh::{LogLevel, Mesh, Options, Region};
use local_mesh::ports::{self, Ports};
use local_mesh::run_dir::RunDir;
use meshfence::{Issuer, LocalCertificates};
use policy_doc::{PolicySet, WorldState};
use render::{AccessLog, Delivery, EnvoyPlan, Keys};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;
use suite::{
    Access, Check, Regions, Trouble, access_log, envoy, example, meshfence_binary, metrics, send,
    site, token, turn, until, until_healthy,
};

const VIOLATIONS: &str = "meshfence_residency_violation_total{}";
const UNKNOWN: &str = "meshfence_actual_region_unknown_total{}";

#[tokio::test]
async fn the_logs_of_real_envoys_are_whole() -> Check {
    let mut regions = Regions::start(&WorldState::default()).await?;
    let result = audited(&mut regions).await;
    regions.stop().await;
    Trouble::unless_empty(&result?)
}

async fn audited(regions: &mut Regions) -> Result<String, Trouble> {
    let mut account = String::new();
    let edge = regions.edge("taiwan")?;
    let hana = token(&regions.run, "hana", "JP")?;
    let mut last = String::new();
    for number in 0..20 {
        let request = match number % 4 {
            0 => RawRequest::new("GET", "/api/v1/products/1"),
            1 => RawRequest::new("GET", "/nothing"),
            2 => RawRequest::new("GET", "/health"),
            _ => RawRequest::new("GET", "/api/v1/customers/me/profile")
                .header("authorization", hana.as_str()),
        };
        let response = send(edge, &request).await?;
        let id = response.header("x-meshfence-decision").unwrap_or_default();
        last = String::from_utf8_lossy(id).into_owned();
    }
    let logs = [regions.access_log("taiwan"), regions.access_log("tokyo")];
    let seen = until("the last decision is logged", async || {
        let lines = access_log(&logs[0]).ok()?;
        let is_last = |access: &Access| access.decided("id") == Some(&last);
        let at = lines.iter().position(is_last)?;
        Some(lines.get(at)?.decision.clone())
    });
    let record = seen.await?.unwrap_or_default();
    // Where Envoy says that it went, and when.
    for field in ["ts", "mono", "bytes"] {
        if record.get(field).and_then(Value::as_u64).is_none_or(|number| number == 0) {
            let _ = writeln!(account, "{field}: {record}");
        }
    }
    if record.get("actual") != Some(&Value::from("tokyo")) {
        let _ = writeln!(account, "where it went: {record}");
    }
    for region in ["taiwan", "tokyo"] {
        let found = metrics(regions.admin(region)?).await?;
        for name in [VIOLATIONS, UNKNOWN, "meshfence_lost_records_total{}"] {
            if let Some(count) = found.get(name).filter(|count| **count > 0) {
                let _ = writeln!(account, "{region}: {name} is {count}");
            }
        }
    }
    // Envoy writes whole lines, but the log may end in one that is still to come.
    let whole = |path: &Path| -> Result<String, Trouble> {
        let text = std::fs::read_to_string(path)?;
        Ok(text.rsplit_once('\n').map(|(whole, _)| format!("{whole}\n")).unwrap_or_default())
    };
    let directory = tempfile::tempdir()?;
    let mut copies = Vec::new();
    for (number, log) in logs.iter().enumerate() {
        let copy = directory.path().join(format!("{number}.log"));
        std::fs::write(&copy, whole(log)?)?;
        copies.push(copy);
    }
    account += &verify(&copies, 0, "none is missing in between")?;
    let Some(first) = copies.first() else { return Err(Trouble::new("there is no log")) };
    let text = std::fs::read_to_string(first)?;
    let without = |number: usize| -> String {
        let lines = text.lines().filter(|line| line.contains("seq"));
        let kept = lines.enumerate().filter(|(place, _)| *place != number);
        kept.flat_map(|(_, line)| [line, "\n"]).collect()
    };
    std::fs::write(first, without(3))?;
    account += &verify(&copies, 6, "is missing before it")?;
    std::fs::write(first, text.replace("unmatched", "allowed"))?;
    account += &verify(std::slice::from_ref(first), 0, "or they could be forged")?;
    Ok(account)
}

/// `meshfence audit verify` on some logs.
fn verify(logs: &[std::path::PathBuf], code: i32, says: &str) -> Result<String, Trouble> {
    let output = Command::new(meshfence_binary()?).args(["audit", "verify"]).args(logs).output()?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() == Some(code) && told.contains(says) {
        return Ok(String::new());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Ok(format!("{}, and not {code} with `{says}`: {told}{said}\n", output.status))
}

#[tokio::test]
async fn a_cluster_that_leads_to_another_region_is_found_out() -> Check {
    let _turn = turn().await;
    let set = example()?.with_hosts(&["localhost"]).with_all_recorded();
    let place = ports::plan(0, &["taiwan"])?.pop().ok_or_else(|| Trouble::new("no ports"))?;
    let run_dir = RunDir::create()?;
    let module = run_dir.write("meshfence.wasm", module::WASM)?;
    let secrets = run_dir.path().join("tls");
    LocalCertificates::generate(&set, SystemTime::now())?.write(&set, &secrets)?;
    let log = run_dir.access_log(&place.region);
    let plan = plan(&place, &module, &secrets, &log)?;
    let region = Region { bootstrap: misled(&set, &plan)?, ports: place.clone() };
    let options = Options {
        envoy: envoy().await?.into(),
        echo: vec![meshfence_binary()?.into(), "echo".into()],
        regions: vec![region],
        workers: 1,
        run_dir,
        log_level: LogLevel::Warn,
        component_log_levels: Vec::new(),
        env: Variables::default(),
    };
    let mesh = Mesh::start(options, &mut |_| {}).await?;
    let result = found_out(&place, &log).await;
    mesh.stop().await;
    Trouble::unless_empty(&result?)
}

async fn found_out(place: &Ports, log: &Path) -> Result<String, Trouble> {
    let mut account = String::new();
    until_healthy(place.admin, "upstream", 1).await?;
    let response = send(place.edge, &RawRequest::new("GET", "/api/v1/products/1")).await?;
    // It has been there: what can be done is to tell.
    if response.status != 200 {
        let _ = writeln!(account, "{} {}", response.status, response.text());
    }
    let refused = send(place.edge, &RawRequest::new("GET", "/nothing")).await?;
    if refused.status != 404 {
        let _ = writeln!(account, "{} {}", refused.status, refused.text());
    }
    let lines = until("all three guards have recorded", async || {
        let lines = access_log(log).ok()?;
        let lines: Vec<Access> =
            lines.into_iter().filter(|access| access.decision.is_some()).collect();
        (lines.len() >= 3).then_some(lines)
    });
    let mut seen: Vec<(String, String, String, bool)> = lines
        .await?
        .iter()
        .map(|access| {
            let text = |field: &str| access.decided(field).unwrap_or("-").to_owned();
            let record = access.decision.clone().unwrap_or_default();
            let is_violation = record.get("violation") == Some(&Value::Bool(true));
            (text("role"), text("to"), text("actual"), is_violation)
        })
        .collect();
    seen.sort();
    let row = |role: &str, to: &str, actual: &str, is_violation| {
        (role.to_owned(), to.to_owned(), actual.to_owned(), is_violation)
    };
    // The edge's upstream and the application are both where they must not be; what was refused went
    // nowhere.
    let expected = [
        row("edge", "-", "-", false),
        row("edge", "taiwan", "tokyo", true),
        row("inbound", "taiwan", "tokyo", true),
    ];
    if seen != expected {
        let _ = writeln!(account, "recorded {seen:?}");
    }
    let found = metrics(place.admin).await?;
    if found.get(VIOLATIONS) != Some(&2) || found.contains_key(UNKNOWN) {
        let _ = writeln!(account, "metrics {found:?}");
    }
    Ok(account)
}

/// The bootstrap of Taiwan, whose own endpoints say that they are in Tokyo.
fn misled(set: &PolicySet, plan: &EnvoyPlan) -> Result<String, Trouble> {
    let text = render::bootstrap(set, plan, "taiwan");
    let text = text.map_err(|error| Trouble::new(error.to_string()))?;
    let misled = text.replace("region: ap-east-2", "region: ap-northeast-1");
    if misled == text { Err(Trouble::new("no endpoint says where it is")) } else { Ok(misled) }
}

/// A plan in which Taiwan is here, and Tokyo nowhere.
fn plan(place: &Ports, module: &Path, secrets: &Path, log: &Path) -> Result<EnvoyPlan, Trouble> {
    let nowhere = ports::plan(0, &["tokyo"])?;
    let log = log.display().to_string();
    let regions = ["taiwan", "tokyo"];
    Ok(EnvoyPlan {
        sites: [place].into_iter().chain(&nowhere).map(site).collect(),
        module: module.display().to_string(),
        keys: Keys::Inline(Issuer::generate().jwks()),
        access_log: AccessLog::File(regions.map(|region| (region.to_owned(), log.clone())).into()),
        secrets: secrets.display().to_string(),
        delivery: Delivery::Inline,
    })
}

//! A first configuration that cannot be used: Envoy starts and says where the fault is, and every
//! request is refused. Nothing passes, nothing traps.

use local_mesh::client::{RawRequest, RawResponse};
use local_mesh::launch::Variables;
use local_mesh::mesh::{LogLevel, Mesh, Options, Region};
use local_mesh::ports::{self, Ports};
use local_mesh::run_dir::RunDir;
use meshfence::{Issuer, LocalCertificates};
use policy_core::Role;
use policy_doc::PolicySet;
use render::{AccessLog, Delivery, EnvoyPlan, Keys, Site};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::SystemTime;
use suite::{
    Check, Trouble, access_log, envoy, example, meshfence_binary, metrics, send, site, stats, turn,
    until, until_healthy,
};

/// How a configuration is broken.
enum Broken {
    /// These bytes instead.
    Text(String),
    /// The valid one, with this value at a JSON pointer.
    Value(&'static str, Value),
    /// The valid one, under another root.
    Root(&'static str),
    /// Not broken, to see that this test could fail.
    Not,
}

/// What was done, and what the log must name.
fn cases() -> Vec<(&'static str, Broken, &'static str)> {
    let cut = "{\"format\": 1, \"policySet\": {\"name\"";
    vec![
        ("not broken", Broken::Not, ""),
        ("empty", Broken::Text(String::new()), ".:"),
        ("no JSON", Broken::Text(String::from("route: everything")), "configuration refused at"),
        ("cut off", Broken::Text(cut.to_owned()), "policySet"),
        ("another document", Broken::Text(String::from("[]")), "configuration refused at"),
        ("a number too large", Broken::Value("/format", json!(2)), "format"),
        (
            "a wrong type deep inside",
            Broken::Value("/policy/contexts/0/priority", json!(7)),
            "policy.contexts[0].priority",
        ),
        (
            "an unknown word deep inside",
            Broken::Value("/policy/residency/rules/1/otherwise", json!("pass")),
            "policy.residency.rules[1].otherwise",
        ),
        (
            "an unknown key",
            Broken::Value("/policy/fencing/failOpen", json!(true)),
            "policy.fencing",
        ),
        (
            "an unknown region",
            Broken::Value("/attachment/region", json!("osaka")),
            "attachment.region",
        ),
        (
            "a rule for an unknown region",
            Broken::Value("/policy/residency/rules/0/regions", json!(["osaka"])),
            "policy.residency.rules[0].regions",
        ),
        ("an unknown role", Broken::Value("/attachment/role", json!("owner")), "attachment.role"),
        ("an unknown root", Broken::Root("gard"), "pluginName"),
    ]
}

#[tokio::test]
async fn a_refused_first_configuration_never_passes_traffic() -> Check {
    let _turn = turn().await;
    let (cases, set) = (cases(), example()?.with_hosts(&["localhost"]).with_all_recorded());
    // Every case is a mesh region of its own, all of them started side by side.
    let mut names = Vec::new();
    for index in 0..cases.len() {
        names.push(format!("case-{index}"));
    }
    let places = ports::plan(0, &names)?;
    let run_dir = RunDir::create()?;
    let module = run_dir.write("meshfence.wasm", module::WASM)?;
    let secrets = run_dir.path().join("tls");
    LocalCertificates::generate(&set, SystemTime::now())?.write(&set, &secrets)?;
    let plan = |place: &Ports, log| {
        let (module, secrets) = (module.display().to_string(), secrets.display().to_string());
        plan(place, module, secrets, log)
    };
    let mut regions = Vec::new();
    for ((_, broken, _), place) in cases.iter().zip(&places) {
        let log = run_dir.access_log(&place.region).display().to_string();
        let plan = plan(place, log)?;
        regions.push(Region { bootstrap: bootstrap(&set, &plan, broken)?, ports: place.clone() });
    }
    let options = Options {
        envoy: envoy().await?.into(),
        echo: vec![meshfence_binary()?.into(), "echo".into()],
        regions,
        workers: 1,
        run_dir,
        log_level: LogLevel::Warn,
        component_log_levels: Vec::new(),
        env: Variables::default(),
    };
    // That every Envoy gets ready is half of what is shown here.
    let mesh = Mesh::start(options, &mut |_| {}).await?;
    let mut account = String::new();
    for ((what, broken, path), place) in cases.iter().zip(&places) {
        for wrong in judge(&mesh, place, !matches!(broken, Broken::Not), path).await? {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{what}: {wrong}");
        }
    }
    let alive = mesh.pids().len();
    if alive != 2 * cases.len() {
        let _ = writeln!(account, "only {alive} processes are left");
    }
    mesh.stop().await;
    println!("{} configurations", cases.len());
    Trouble::unless_empty(&account)
}

/// A plan in which Taiwan is where the case is, and Tokyo nowhere.
fn plan(place: &Ports, module: String, secrets: String, log: String) -> Result<EnvoyPlan, Trouble> {
    let nowhere = ports::plan(0, &["tokyo"])?;
    let mut sites = vec![Site { region: "taiwan".to_owned(), ..site(place) }];
    sites.extend(nowhere.iter().map(site));
    Ok(EnvoyPlan {
        sites,
        module,
        keys: Keys::Inline(Issuer::generate().jwks()),
        access_log: AccessLog::File(
            [(String::from("taiwan"), log.clone()), (String::from("tokyo"), log)].into(),
        ),
        secrets,
        delivery: Delivery::Inline,
    })
}

/// A rendered bootstrap whose plugin configuration is broken.
fn bootstrap(set: &PolicySet, plan: &EnvoyPlan, broken: &Broken) -> Result<String, Trouble> {
    let text = render::bootstrap(set, plan, "taiwan");
    let text = text.map_err(|error| Trouble::new(error.to_string()))?;
    let mut config = serde_json::to_value(set.plugin_config("taiwan", Role::Edge))?;
    Ok(match broken {
        Broken::Not => text,
        // At the edge, which comes first; the other roles are as they should be.
        Broken::Root(root) => text.replacen("root_id: guard", &format!("root_id: {root}"), 1),
        Broken::Text(instead) => with_configuration(&text, instead)?,
        Broken::Value(pointer, value) => {
            let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
            let found = config.pointer_mut(parent);
            let parent = found.ok_or_else(|| Trouble::new(format!("there is no {parent}")))?;
            match parent {
                Value::Array(items) => {
                    let item = key.parse::<usize>().ok().and_then(|index| items.get_mut(index));
                    *item.ok_or_else(|| Trouble::new(format!("there is no {pointer}")))? =
                        value.clone();
                }
                Value::Object(fields) => {
                    fields.insert(key.to_owned(), value.clone());
                }
                _ => return Err(Trouble::new(format!("there is no {pointer}"))),
            }
            with_configuration(&text, &config.to_string())?
        }
    })
}

/// Puts another text in the place of the one block of lines that the plugin's configuration is.
fn with_configuration(text: &str, instead: &str) -> Result<String, Trouble> {
    let mut lines = text.lines();
    let mut out = Vec::new();
    let mut after_type = false;
    for line in lines.by_ref() {
        let is_value = after_type && line.trim_start().starts_with("value: |");
        after_type = line.contains("google.protobuf.StringValue");
        if is_value {
            let indent = line.len() - line.trim_start().len();
            // A JSON string is a YAML string.
            out.push(format!("{}value: {}", " ".repeat(indent), Value::from(instead)));
            let deeper = |line: &&str| line.len() - line.trim_start().len() > indent;
            let rest = lines.skip_while(|line| line.trim().is_empty() || deeper(line));
            out.extend(rest.map(str::to_owned));
            return Ok(out.join("\n"));
        }
        out.push(line.to_owned());
    }
    Err(Trouble::new("the bootstrap has no plugin configuration"))
}

/// What is wrong with an Envoy under a configuration.
async fn judge(
    mesh: &Mesh,
    place: &Ports,
    refused: bool,
    path: &str,
) -> Result<Vec<String>, Trouble> {
    let mut wrong = Vec::new();
    let log = std::fs::read_to_string(mesh.run_dir().envoy_log(&place.region))?;
    let line = log.lines().find(|line| line.contains("meshfence: configuration refused at"));
    match line {
        Some(line) if !refused || !line.contains(path) => wrong.push(format!("logged: {line}")),
        None if refused => wrong.push(format!("nothing in the log: {log}")),
        _ => {}
    }
    wrong.extend(suite::traps(&log));
    until_healthy(place.admin, "upstream", 1).await?;
    let gauge = metrics(place.admin).await?.get("meshfence_config_rejected{}").copied();
    if gauge != Some(u64::from(refused)) {
        wrong.push(format!("meshfence_config_rejected is {gauge:?}"));
    }
    let requests = [
        RawRequest::new("GET", "/health"),
        RawRequest::new("GET", "/ready"),
        RawRequest::new("GET", "/api/v1/products/1"),
        RawRequest::new("POST", "/api/v1/reviews/9").body("x"),
        RawRequest::new("GET", "/api/v1/products/1").header("x-meshfence-route", "tokyo"),
        RawRequest::new("OPTIONS", "/api/v1/products/1")
            .header("origin", "https://a")
            .header("access-control-request-method", "GET"),
    ];
    let mut last = String::new();
    for request in &requests {
        let response = send(place.edge, request).await?;
        let fine = if refused { is_unavailable(&response) } else { response.status == 200 };
        if !fine {
            let target = String::from_utf8_lossy(&request.target);
            wrong.push(format!(
                "{} {target}: {} {}",
                request.method,
                response.status,
                response.text()
            ));
        }
        last = text(&response, "x-meshfence-decision");
    }
    // Also a gRPC call is told so, in its own way.
    let grpc = RawRequest::new("POST", "/shop.inventory.v1.Inventory/GetStock")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let response = send(place.edge, &grpc).await?;
    let status = text(&response, "grpc-status");
    if refused && (status != "14" || response.header("x-echo-region").is_some()) {
        wrong.push(format!("gRPC: {} with grpc-status `{status}`", response.status));
    }
    for (name, value) in stats(place.admin, "vm_reload").await? {
        if value != 0 {
            wrong.push(format!("{name} is {value}"));
        }
    }
    let path = mesh.run_dir().access_log(&place.region);
    let decision = until("the decision is logged", async || {
        let lines = access_log(&path).ok()?;
        lines.into_iter().find(|access| access.decided("id") == Some(&last))
    });
    let decision = decision.await?;
    if refused
        && (decision.decided("reason"), decision.decided("verdict"))
            != (Some("policy_unavailable"), Some("hold"))
    {
        wrong.push(format!("decided: {:?}", decision.decision));
    }
    Ok(wrong)
}

fn is_unavailable(response: &RawResponse) -> bool {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    response.status == 503
        && response.header("x-echo-region").is_none()
        && text(response, "x-meshfence-reason") == "policy_unavailable"
        && text(response, "x-meshfence-processed") == "no"
        && text(response, "content-type") == "application/problem+json"
        && text(response, "cache-control") == "no-store"
        && text(response, "retry-after").parse::<u32>().is_ok()
        && field("reason") == "policy_unavailable"
        && field("type").ends_with("/policy_unavailable")
        && body.get("status") == Some(&json!(503))
}

fn text(response: &RawResponse, name: &str) -> String {
    String::from_utf8_lossy(response.header(name).unwrap_or_default()).into_owned()
}

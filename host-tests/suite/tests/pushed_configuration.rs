//! Configurations pushed through the file system into running Envoys, good and bad, and VMs that
//! trap in between: what serves then, what the gauges say, and that nothing passes that should not.

use local_mesh::client::{RawRequest, RawResponse};
use meshfence::{LocalRun, Push};
use policy_core::Role;
use policy_doc::WorldState;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use suite::{Check, Regions, Trouble, metrics, send, stats, trapping, until, writer};

const REGION: &str = "taiwan";

/// The callback that is made to trap: it is called for requests with a body and for no others.
const TRAP: &str = "proxy_on_request_body";

/// How a configuration that is pushed differs from the one in force.
enum Pushed {
    /// It does not.
    Same,
    /// This value stands at a JSON pointer.
    With(&'static str, Value),
    /// This value stands there, and it says what serves if it is refused.
    WithAndRejected(&'static str, Value, &'static str),
    /// It is this text.
    Text(&'static str),
}

/// What has to come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serves {
    /// The new one.
    New,
    /// The last good one, while the gauge says that the new one was refused.
    LastGood,
    /// Nothing.
    Nothing,
}

const PRIORITY: &str = "/policy/contexts/0/priority";
const RULE: &str = "/policy/residency/rules/0/regions";

/// What is pushed, in this order, and what serves then.
fn pushes() -> Vec<(&'static str, Pushed, Serves)> {
    vec![
        ("the same again", Pushed::Same, Serves::New),
        ("a word nobody knows", Pushed::With(PRIORITY, json!("urgent")), Serves::LastGood),
        ("good again", Pushed::Same, Serves::New),
        (
            "residency for a region that is none",
            Pushed::With(RULE, json!(["osaka"])),
            Serves::Nothing,
        ),
        (
            "a word nobody knows, after that",
            Pushed::With(PRIORITY, json!("urgent")),
            Serves::LastGood,
        ),
        ("no JSON", Pushed::Text("route: everything"), Serves::Nothing),
        ("nothing", Pushed::Text(""), Serves::Nothing),
        (
            "residency, and somebody said to serve on",
            Pushed::WithAndRejected(RULE, json!(["osaka"]), "last-good"),
            Serves::LastGood,
        ),
        (
            "no residency, and somebody said to refuse",
            Pushed::WithAndRejected(PRIORITY, json!("urgent"), "refuse"),
            Serves::Nothing,
        ),
        ("another role", Pushed::With("/attachment/role", json!("owner")), Serves::Nothing),
        ("good in the end", Pushed::Same, Serves::New),
    ]
}

impl Pushed {
    fn text(&self, run: &LocalRun, world: &WorldState) -> Result<String, Trouble> {
        let set = run.set().with_static_state(world.document.clone());
        let mut config = serde_json::to_value(set.plugin_config(REGION, Role::Edge))?;
        let (pointer, value) = match self {
            Self::Text(text) => return Ok((*text).to_owned()),
            Self::Same => return Ok(config.to_string()),
            Self::With(pointer, value) => (pointer, value),
            Self::WithAndRejected(pointer, value, onwards) => {
                if let Some(config) = config.as_object_mut() {
                    config.insert("onRejected".to_owned(), json!(onwards));
                }
                (pointer, value)
            }
        };
        let found = config.pointer_mut(pointer);
        *found.ok_or_else(|| Trouble::new(format!("there is no {pointer}")))? = value.clone();
        Ok(config.to_string())
    }
}

/// Every configuration in its turn, each judged before and after the VM that has it was lost.
#[tokio::test]
async fn the_last_good_policy_decides_and_survives_its_vm() -> Check {
    let world = WorldState::default();
    let module = trapping(module::WASM, TRAP)?;
    let mut regions = Regions::start_with(&world, module).await?;
    let mut account = String::new();
    let hash = judge(&regions, Serves::New, None, &mut account, "at first").await?;
    for (what, pushed, serves) in pushes() {
        let text = pushed.text(&regions.run, &world)?;
        let taken = regions.run.push(REGION, Role::Edge, &text).await?;
        if taken != Push::Taken {
            let _ = writeln!(account, "{what}: Envoy says {taken:?}");
        }
        judge(&regions, serves, Some(hash), &mut account, what).await?;
        if serves != Serves::Nothing {
            lose_the_vm(&regions, &mut account, what).await?;
            judge(&regions, serves, Some(hash), &mut account, &format!("{what}, VM lost")).await?;
        }
    }
    let log = regions.envoy_log(REGION)?;
    regions.stop().await;
    if !log.contains("still enforcing") || !log.contains("configuration refused at") {
        let _ = writeln!(account, "the log does not tell of what was refused");
    }
    Trouble::unless_empty(&account)
}

/// A refused configuration still refuses when the VM that refused it is a new one.
#[tokio::test]
async fn a_refusal_survives_its_vm() -> Check {
    let world = WorldState::default();
    let module = trapping(module::WASM, TRAP)?;
    let mut regions = Regions::start_with(&world, module).await?;
    let mut account = String::new();
    let text = Pushed::With(RULE, json!(["osaka"])).text(&regions.run, &world)?;
    regions.run.push(REGION, Role::Edge, &text).await?;
    judge(&regions, Serves::Nothing, None, &mut account, "refused").await?;
    // The edge refuses before it could trap: the guard before the workload shares its VM.
    trap_inbound(&regions).await?;
    judge(&regions, Serves::Nothing, None, &mut account, "refused, VM lost").await?;
    regions.stop().await;
    Trouble::unless_empty(&account)
}

/// Every plugin of a proxy can write where the last good configuration is kept: a new VM believes
/// nothing there that does not bear its seal.
#[tokio::test]
async fn what_another_plugin_wrote_is_not_believed() -> Check {
    let world = WorldState::default();
    let module = trapping(module::WASM, TRAP)?;
    let mut regions = Regions::start_with(&world, module).await?;
    let mut account = String::new();
    // A configuration that is good in every way, from somebody without the secret.
    let mut forged = vec![0; 40];
    forged.extend(Pushed::Same.text(&regions.run, &world)?.into_bytes());
    let key = format!("meshfence/v1/last-good/{}/guard", render::plugin_name(Role::Edge));
    let plugin = regions.run.mesh().run_dir().write("writer.wasm", &writer(&key, &forged)?)?;
    let text = format!(
        r#"{{"resources": [{{"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": "{name}", "typed_config": {{
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {{"name": "somebody", "vm_config": {{
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {{"local": {{"filename": {plugin}}}}}}}}}}}}}]}}"#,
        name = render::plugin_name(Role::Outbound),
        plugin = Value::from(plugin.display().to_string()),
    );
    let broken = Pushed::With(PRIORITY, json!("urgent")).text(&regions.run, &world)?;
    regions.run.push(REGION, Role::Edge, &broken).await?;
    judge(&regions, Serves::LastGood, None, &mut account, "from its own memory").await?;
    let written = regions.run.push_file(REGION, Role::Outbound, text).await?;
    if written != Push::Taken {
        let _ = writeln!(account, "the other plugin: Envoy says {written:?}");
    }
    judge(&regions, Serves::LastGood, None, &mut account, "written, and not looked at").await?;
    lose_the_vm(&regions, &mut account, "written").await?;
    judge(&regions, Serves::Nothing, None, &mut account, "written, VM lost").await?;
    let counted = metrics(regions.admin(REGION)?).await?;
    let foreign = counted.get("meshfence_foreign_shared_data_total{}").copied().unwrap_or(0);
    if foreign == 0 {
        let _ = writeln!(account, "what another plugin wrote was not counted");
    }
    regions.stop().await;
    Trouble::unless_empty(&account)
}

/// Sends what the policy has an answer to, and reads the gauges. Returns the hash that serves.
async fn judge(
    regions: &Regions,
    serves: Serves,
    hash: Option<u64>,
    account: &mut String,
    what: &str,
) -> Result<u64, Trouble> {
    let edge = regions.edge(REGION)?;
    let admin = regions.admin(REGION)?;
    let requests = [
        (RawRequest::new("GET", "/api/v1/products/1"), 200, ""),
        (RawRequest::new("GET", "/health"), 200, ""),
        (RawRequest::new("GET", "/api/v1/customers/me"), 401, "credentials_missing"),
        (RawRequest::new("GET", "/nowhere"), 404, "unmatched"),
    ];
    for (request, status, reason) in &requests {
        let (status, reason) = match serves {
            Serves::Nothing => (503, "policy_unavailable"),
            Serves::New | Serves::LastGood => (*status, *reason),
        };
        // A worker takes a new configuration, or a new VM, a moment after the main thread has.
        let matches = |response: &RawResponse| {
            response.status == status && text(response, "x-meshfence-reason") == reason
        };
        let settled = until("the worker has gone over", async || {
            send(edge, request).await.ok().filter(&matches)
        });
        if settled.await.is_err() {
            let last = send(edge, request).await?;
            let target = String::from_utf8_lossy(&request.target).into_owned();
            let _ = writeln!(account, "{what}: {target}: {} {}", last.status, last.text());
        }
    }
    let gauges = metrics(admin).await?;
    let gauge = |name: &str| gauges.get(name).copied();
    let rejected = gauge("meshfence_config_rejected{}");
    if rejected != Some(u64::from(serves != Serves::New)) {
        let _ = writeln!(account, "{what}: meshfence_config_rejected is {rejected:?}");
    }
    let serving = gauge(r#"meshfence_config_hash{role="edge"}"#).unwrap_or(0);
    let since = gauge(r#"meshfence_config_loaded_timestamp_seconds{role="edge"}"#).unwrap_or(0);
    if serves == Serves::Nothing {
        if hash.is_some() && (serving, since) != (0, 0) {
            let _ = writeln!(account, "{what}: the gauges tell of {serving} since {since}");
        }
    } else if serving == 0 || since == 0 || hash.is_some_and(|hash| hash != serving) {
        let _ =
            writeln!(account, "{what}: the gauges tell of {serving} since {since}, not {hash:?}");
    }
    Ok(serving)
}

/// Makes the worker's VM trap, and waits until it has another one.
async fn lose_the_vm(regions: &Regions, account: &mut String, what: &str) -> Check {
    let before = reloads(regions).await?;
    let fatal = RawRequest::new("POST", "/api/v1/reviews/9").body("x");
    let response = send(regions.edge(REGION)?, &fatal).await?;
    if response.status != 503 || response.header("x-echo-region").is_some() {
        let _ = writeln!(account, "{what}: a request that trapped got {}", response.status);
    }
    another_vm(regions, before).await
}

async fn trap_inbound(regions: &Regions) -> Check {
    let before = reloads(regions).await?;
    let gateway = regions.run.certificates().gateway(REGION);
    let client = regions.run.client(REGION, gateway)?;
    let inbound = regions.run.address(REGION, Role::Inbound);
    let inbound = inbound.ok_or_else(|| Trouble::new("there is no inbound listener"))?;
    let fatal = RawRequest::new("POST", "/api/v1/reviews/9").body("x");
    // What becomes of the request does not matter here.
    let _ = client.send(inbound, &fatal, suite::LIMIT).await;
    another_vm(regions, before).await
}

/// Envoy makes a new VM when the next request comes, after a pause.
async fn another_vm(regions: &Regions, before: u64) -> Check {
    let edge = regions.edge(REGION)?;
    until("another VM", async || {
        send(edge, &RawRequest::new("GET", "/health")).await.ok()?;
        (reloads(regions).await.ok()? > before).then_some(())
    })
    .await
}

async fn reloads(regions: &Regions) -> Result<u64, Trouble> {
    let counted: BTreeMap<String, u64> = stats(regions.admin(REGION)?, "vm_reload_success").await?;
    Ok(counted.values().sum())
}

fn text(response: &RawResponse, name: &str) -> String {
    String::from_utf8_lossy(response.header(name).unwrap_or_default()).into_owned()
}

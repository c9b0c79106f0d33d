//! A leased write that a peer refuses as not its own, on real Envoys and agents that disagree: it is
//! decided once more, by region state that was asked for since, and never a third time.

use local_mesh::client::{RawRequest, RawResponse};
use local_mesh::mesh::{LogLevel, Mesh, Options, Region};
use local_mesh::ports::{self, Ports};
use local_mesh::run_dir::RunDir;
use meshfence::{Issuer, LocalCertificates};
use policy_core::wire::LeaseTimes;
use render::{AccessLog, Delivery, EnvoyPlan, Keys};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::SystemTime;
use suite::{
    Agent, Check, Trouble, envoy, example, meshfence_binary, metrics, secrets_of, send, site,
    traps, turn, until,
};

const SECRET: &str = "the secret of proxies that ask agents";
const REGIONS: [&str; 2] = ["taiwan", "tokyo"];

/// So long that no proxy asks by itself between two steps of a test.
const TIMES: LeaseTimes = LeaseTimes { ttl_ms: 120_000, poll_ms: 30_000 };

/// Two regions whose proxies ask agents.
struct Two {
    agents: Vec<Agent>,
    mesh: Mesh,
    places: Vec<Ports>,
}

impl Two {
    /// Starts them: by what Taiwan knows the lease of the inventory is in Tokyo, and Tokyo knows better.
    async fn start(reroute: bool) -> Result<Self, Trouble> {
        let mut set = example()?.with_hosts(&["localhost"]).with_all_recorded();
        set.body.fencing.lease = TIMES;
        set.body.fencing.reroute = reroute;
        let mut agents = Vec::new();
        for region in REGIONS {
            let agent = Agent::start(&set, region, SECRET).await?;
            let (holder, epoch) = if region == "taiwan" { ("tokyo", 2) } else { ("taiwan", 3) };
            says(&agent, holder, epoch);
            set.mesh.agents.insert(region.to_owned(), agent.url());
            agents.push(agent);
        }
        let places = ports::plan(0, &REGIONS)?;
        let run_dir = RunDir::create()?;
        let module = run_dir.write("meshfence.wasm", module::WASM)?;
        let secrets = run_dir.path().join("tls");
        LocalCertificates::generate(&set, SystemTime::now())?.write(&set, &secrets)?;
        let log = |name: &str| (name.to_owned(), run_dir.access_log(name).display().to_string());
        let plan = EnvoyPlan {
            sites: places.iter().map(site).collect(),
            module: module.display().to_string(),
            keys: Keys::Inline(Issuer::generate().jwks()),
            access_log: AccessLog::File(REGIONS.map(log).into()),
            secrets: secrets.display().to_string(),
            delivery: Delivery::Inline,
        };
        let mut regions = Vec::new();
        for place in &places {
            let text = render::bootstrap(&set, &plan, &place.region);
            let bootstrap = text.map_err(|error| Trouble::new(error.to_string()))?;
            regions.push(Region { ports: place.clone(), bootstrap });
        }
        let options = Options {
            envoy: envoy().await?.into(),
            echo: vec![meshfence_binary()?.into(), "echo".into()],
            regions,
            workers: 2,
            run_dir,
            log_level: LogLevel::Warn,
            component_log_levels: Vec::new(),
            env: secrets_of(&set, SECRET),
        };
        let mesh = Mesh::start(options, &mut |_| {}).await?;
        let two = Self { agents, mesh, places };
        until("the proxies know of leases", async || {
            let answer = told(&two.webhook(&[]).await.ok()?);
            (answer == "200 tokyo payments;e=1;h=tokyo;s=tokyo").then_some(())
        })
        .await?;
        Ok(two)
    }

    /// The lease of the inventory is in Taiwan for Taiwan's agent, too.
    fn move_here(&self) {
        if let Some(agent) = self.agents.first() {
            says(agent, "taiwan", 3);
        }
    }

    fn place(&self, region: &str) -> Result<&Ports, Trouble> {
        let found = self.places.iter().find(|place| place.region == region);
        found.ok_or_else(|| Trouble::new(format!("no {region}")))
    }

    /// A change of stock at the edge of Taiwan.
    async fn write(&self) -> Result<RawResponse, Trouble> {
        self.post("/api/v1/inventory/sku-1", &[]).await
    }

    /// What is Tokyo's by what both know.
    async fn webhook(&self, headers: &[(&str, &str)]) -> Result<RawResponse, Trouble> {
        self.post("/api/v1/webhooks/payments/tokyo", headers).await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)]) -> Result<RawResponse, Trouble> {
        let request = RawRequest::new("POST", path).header("idempotency-key", "k1");
        let more = headers.iter();
        let request = more.fold(request, |request, (name, value)| request.header(*name, *value));
        send(self.place("taiwan")?.edge, &request.body("a change")).await
    }

    async fn stop(self) -> Check {
        let mut trapped = Vec::new();
        for region in REGIONS {
            let log = std::fs::read_to_string(self.mesh.run_dir().envoy_log(region))?;
            trapped.extend(traps(&log));
        }
        self.mesh.stop().await;
        if trapped.is_empty() { Ok(()) } else { Err(Trouble::new(format!("{trapped:?}"))) }
    }
}

/// `status reason`, and the token that the application saw with its region, where one did.
fn told(response: &RawResponse) -> String {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let seen = body.get("headers").and_then(Value::as_array);
    let token = seen.into_iter().flatten().find_map(|pair| {
        let value = pair.get(1)?.as_str()?;
        (pair.get(0)?.as_str()? == "x-meshfence-fence").then_some(value)
    });
    let text =
        |name: &str| String::from_utf8_lossy(response.header(name).unwrap_or(b"-")).into_owned();
    match token {
        Some(token) => format!("{} {} {token}", response.status, text("x-echo-region")),
        None => format!("{} {}", response.status, text("x-meshfence-reason")),
    }
}

/// Polls of a region's proxies that were believed.
async fn adopted(admin: SocketAddr) -> Result<u64, Trouble> {
    let name = "meshfence_region_state_polls_total{outcome=\"adopted\"}";
    Ok(metrics(admin).await?.get(name).copied().unwrap_or(0))
}

/// What an agent says of the lease of the inventory.
fn says(agent: &Agent, holder: &str, epoch: u64) {
    agent.lease("inventory", |lease| {
        lease.holder = Some(holder.to_owned());
        lease.epoch = epoch;
    });
}

/// What was not as it should be.
fn unless(found: &[(&str, String, &str)]) -> Check {
    let wrong = found.iter().filter(|(_, found, expected)| found != expected);
    let lines = wrong.map(|(what, found, expected)| format!("{what}: {found}, not {expected}"));
    Trouble::unless_empty(&lines.collect::<Vec<_>>().join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_a_peer_refuses_is_decided_once_more() -> Check {
    let _turn = turn().await;
    let two = Two::start(true).await?;
    let admin = two.place("taiwan")?.admin;
    let asks = [("echo-status", "307"), ("echo-header", "location=https://elsewhere.example/")];
    let redirect = two.webhook(&asks).await?;
    let location = redirect.header("location").unwrap_or(b"-");
    let location = format!("{} {}", redirect.status, String::from_utf8_lossy(location));
    two.move_here();
    let before = adopted(admin).await?;
    let moved = told(&two.write().await?);
    let polls = adopted(admin).await?.saturating_sub(before);
    let next = told(&two.write().await?);
    two.stop().await?;
    unless(&[
        ("the application's redirect", location, "307 https://elsewhere.example/"),
        ("a lease that is here by now", moved, "200 taiwan inventory;e=3;h=taiwan"),
        ("questions meanwhile", polls.to_string(), "1"),
        ("what is known then", next, "200 taiwan inventory;e=3;h=taiwan"),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_would_only_be_refused_again_ends() -> Check {
    let _turn = turn().await;
    let two = Two::start(true).await?;
    let admin = two.place("taiwan")?.admin;
    let before = adopted(admin).await?;
    let response = two.write().await?;
    let polls = adopted(admin).await?.saturating_sub(before);
    let retry = response.header("retry-after").is_some();
    let processed = response.header("x-meshfence-processed").map(<[u8]>::to_vec);
    let answer = told(&response);
    two.stop().await?;
    unless(&[
        ("a lease that is still there", answer, "503 wrong_region"),
        ("questions meanwhile", polls.to_string(), "1"),
        ("when to come again", retry.to_string(), "true"),
        ("that nothing ran", format!("{processed:?}"), &format!("{:?}", Some(b"no"))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_it_is_not_now() -> Check {
    let _turn = turn().await;
    let two = Two::start(false).await?;
    two.move_here();
    let answer = told(&two.write().await?);
    two.stop().await?;
    unless(&[("a lease that has moved", answer, "503 wrong_region")])
}

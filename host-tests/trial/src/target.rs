//! What a fuzzer plays: bytes in, what was seen out, or what they broke.

use crate::agent::{Agent, Conduct};
use crate::bench::{Behind, Bench, request};
use crate::promise::{self, Exchanged};
use crate::scenario::TO_KNOW;
use crate::script::{Exchange, Script};
use crate::seen::Seen;
use crate::setting::Setting;
use fencing::Watch;
use policy_core::name::HEADER_ROUTE;
use policy_core::wire::{LiveDocument, PluginConfig, StateDocument};
use policy_core::{Health, LeaseState, Policy, Reason, Role};
use serde_json::Value as Json;
use std::cell::RefCell;
use wasm_host::{Host, Outcome, Plugin, Proxy, UPSTREAM};

/// Where a configuration has its region state.
const STATE: &str = "/policy/fencing/static";

/// What is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The header maps of requests and responses.
    Headers,
    /// Bodies and trailers, in parts, of requests that pass and of others.
    Bodies,
    /// Bodies and trailers of responses that are redacted.
    Redaction,
    /// Attributes: there, missing, of another type.
    Properties,
    /// The configuration: as bytes, or the example's with changes.
    Configuration,
    /// The part of it that is region state.
    RegionState,
    /// What an agent says.
    Agent,
    /// Answers to calls, ticks, queues: none was asked for.
    CallResponses,
    /// What says whom a request is about: sessions, keys of tenants, claims, other guards.
    Subjects,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::default();
    /// Proxies that redact: those that can hold headers, and those that cannot.
    static REDACTING: RefCell<Vec<(Setting, Bench)>> = const { RefCell::new(Vec::new()) };
    static SETTING: RefCell<Option<Setting>> = const { RefCell::new(None) };
    static SUBJECTS: RefCell<(Bench, Option<Setting>)> = RefCell::default();
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 9] = [
        Self::Headers,
        Self::Bodies,
        Self::Redaction,
        Self::Properties,
        Self::Configuration,
        Self::RegionState,
        Self::Agent,
        Self::CallResponses,
        Self::Subjects,
    ];

    /// Its name, which is that of its corpus.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Bodies => "bodies",
            Self::Redaction => "redaction",
            Self::Properties => "properties",
            Self::Configuration => "configuration",
            Self::RegionState => "region_state",
            Self::Agent => "agent",
            Self::CallResponses => "call_responses",
            Self::Subjects => "subjects",
        }
    }

    /// Plays an input.
    ///
    /// # Errors
    /// What it broke.
    pub fn play(self, bytes: &[u8]) -> Result<Seen, Broken> {
        if self == Self::Subjects {
            return subjects(bytes).map_err(Broken);
        }
        let setting = SETTING.with_borrow_mut(|known| match known {
            Some(setting) => Ok(setting.clone()),
            None => Setting::new("normal").inspect(|setting| *known = Some(setting.clone())),
        });
        let setting = setting.map_err(Broken)?;
        let played = match self {
            Self::Headers => with_script(&setting, bytes, None),
            Self::Bodies => with_script(&setting, bytes, Some(A_REVIEW)),
            Self::Redaction => redaction(&setting, bytes),
            Self::Properties => with_script(&setting, bytes, Some(AN_ORDER)),
            Self::CallResponses => with_script(&setting, bytes, Some(A_PROFILE)),
            Self::Configuration => configuration(&setting, bytes),
            Self::RegionState => region_state(&setting, bytes),
            Self::Agent => agent(&setting, bytes),
            // Played by now, in a setting of its own.
            Self::Subjects => Ok(Seen::default()),
        };
        played.map_err(Broken)
    }
}

/// Requests of scripts that say no header.
const A_REVIEW: &[u8] =
    b"> :method: POST\n> :path: /api/v1/reviews/9\n> :authority: api.ecommerce-platform.com";
const AN_ORDER: &[u8] = b"> :method: POST\n> :path: /api/v1/orders\n\
    > :authority: api.ecommerce-platform.com\n> authorization: Bearer a.b.c\n> idempotency-key: k1\n\
    > x-meshfence-via: tokyo\n> x-meshfence-subject: TW\n\
    > x-meshfence-fence: orders;e=41;h=taiwan;s=taiwan~tokyo\n> x-meshfence-epoch: 41";
const A_PROFILE: &[u8] = b"> :method: GET\n> :path: /api/v1/customers/me/profile\n\
    > :authority: api.ecommerce-platform.com\n> authorization: Bearer a.b.c\n\
    = metadata/filter_metadata/envoy.filters.http.jwt_authn/shop/iss = https://id.shop.example\n\
    = metadata/filter_metadata/envoy.filters.http.jwt_authn/shop/residency = TW";

const FROM_JAPAN: &[u8] = b"> :method: GET\n> :path: /api/v1/customers/me/profile\n\
    > :authority: api.ecommerce-platform.com\n> authorization: Bearer a.b.c\n\
    = metadata/filter_metadata/envoy.filters.http.jwt_authn/shop/iss = https://id.shop.example\n\
    = metadata/filter_metadata/envoy.filters.http.jwt_authn/shop/residency = JP\n\
    < content-type: application/json";

fn base(script: &[u8]) -> Exchange {
    Script::read(script).exchanges.into_iter().next().unwrap_or_default()
}

fn with_script(setting: &Setting, bytes: &[u8], of: Option<&[u8]>) -> Result<Seen, String> {
    let of = of.map(base);
    BENCH.with_borrow_mut(|bench| bench.play(setting, &Script::read(bytes), of.as_ref()))
}

/// Plays a script where every source of a subject is asked.
fn subjects(bytes: &[u8]) -> Result<Seen, String> {
    SUBJECTS.with_borrow_mut(|(bench, setting)| {
        let setting = match setting {
            Some(setting) => setting,
            None => setting.insert(Setting::new("normal")?.with_sources()),
        };
        bench.play(setting, &Script::read(bytes), Some(&base(A_PROFILE)))
    })
}

/// Responses are redacted or refused, whether their headers can be held or not.
fn redaction(setting: &Setting, bytes: &[u8]) -> Result<Seen, String> {
    let (script, base) = (Script::read(bytes), base(FROM_JAPAN));
    REDACTING.with_borrow_mut(|known| {
        if known.is_empty() {
            for holds in [true, false] {
                known.push((setting.redacting(holds)?, Bench::default()));
            }
        }
        let mut seen = Seen::default();
        for (setting, bench) in known {
            seen.join(bench.play(setting, &script, Some(&base))?);
        }
        Ok(seen)
    })
}

/// Requests that a configuration is asked about.
const ASKED: [&[u8]; 6] = [
    b"> :method: GET\n> :path: /health\n> :authority: api.ecommerce-platform.com",
    b"> :method: GET\n> :path: /api/v1/products/1\n> :authority: api.ecommerce-platform.com",
    A_REVIEW,
    A_PROFILE,
    b"> :method: POST\n> :path: /api/v1/inventory/1\n> :authority: api.ecommerce-platform.com\n\
      > idempotency-key: k1",
    b"> :method: POST\n> :path: /api/v1/orders\n> :authority: api.ecommerce-platform.com\n\
      > authorization: Bearer a.b.c\n> idempotency-key: k1\n\
      = metadata/filter_metadata/envoy.filters.http.jwt_authn/shop/iss = https://id.shop.example\n\
      = metadata/filter_metadata/envoy.filters.http.jwt_authn/shop/residency = JP",
];

/// Changes a document: `/pointer = JSON` puts something there, `- /pointer` takes it away. A text
/// that begins with a brace is the document; one that begins with `raw ` is what follows, whatever
/// it is.
fn changed(document: &Json, below: &str, bytes: &[u8]) -> Vec<u8> {
    if let Some(raw) = bytes.strip_prefix(b"raw ") {
        return raw.to_vec();
    }
    let mut document = document.clone();
    if bytes.starts_with(b"{") && !below.is_empty() {
        match (document.pointer_mut(below), serde_json::from_slice(bytes)) {
            (Some(place), Ok(new)) => *place = new,
            _ => return bytes.to_vec(),
        }
    } else if bytes.starts_with(b"{") {
        return bytes.to_vec();
    } else {
        for line in String::from_utf8_lossy(bytes).lines() {
            change(&mut document, below, line);
        }
    }
    document.to_string().into_bytes()
}

fn change(document: &mut Json, below: &str, line: &str) {
    let (pointer, new) = match line.split_once(" = ") {
        Some((pointer, new)) => (pointer, serde_json::from_str(new).ok()),
        None => (line.strip_prefix("- ").unwrap_or_default(), None),
    };
    let is_removal = line.starts_with("- ");
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    let Some(parent) = document.pointer_mut(&format!("{below}{parent}")) else { return };
    match (parent, new) {
        (Json::Object(fields), Some(new)) => {
            fields.insert(key, new);
        }
        (Json::Object(fields), None) if is_removal => {
            fields.remove(&key);
        }
        (Json::Array(elements), new) => match (key.parse::<usize>(), new) {
            (Ok(place), Some(new)) if place < elements.len() => {
                elements.remove(place);
                elements.insert(place, new);
            }
            (Ok(place), None) if is_removal && place < elements.len() => {
                elements.remove(place);
            }
            // `-` appends.
            (Err(_), Some(new)) => elements.push(new),
            _ => {}
        },
        _ => {}
    }
}

/// `at ROLE` in the first line.
fn role_of(bytes: &[u8]) -> (Role, &[u8]) {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let said = line.strip_prefix(b"at ").and_then(|word| std::str::from_utf8(word).ok());
    match said.and_then(Role::parse) {
        Some(role) => (role, bytes.get(line.len().saturating_add(1)..).unwrap_or_default()),
        None => (Role::Edge, bytes),
    }
}

/// What this process makes of a configuration, which is what `check` would.
fn accepted(configuration: &[u8]) -> Option<PluginConfig> {
    let config = PluginConfig::from_json(configuration).ok()?;
    Policy::compile(&config).ok()?;
    Some(config)
}

fn example(setting: &Setting, role: Role) -> Result<Json, String> {
    serde_json::to_value(setting.config("taiwan", role)).map_err(|error| error.to_string())
}

/// A proxy that is asked about its configuration.
struct Asked {
    proxy: Proxy,
    behind: Behind,
    role: Role,
    region: String,
}

impl Asked {
    fn start(setting: &Setting, plugin: Plugin, role: Role) -> Result<Self, String> {
        let host = setting.host(plugin);
        Self::of(host, role)
    }

    fn of(host: Host, role: Role) -> Result<Self, String> {
        let behind = Behind::new();
        let host = host.cluster(UPSTREAM, behind.service());
        let proxy = host.start().map_err(|error| error.to_string())?;
        let asked = Self { proxy, behind, role, region: "taiwan".into() };
        asked.no_trap()?;
        Ok(asked)
    }

    fn configure(&mut self, plugin: Plugin) -> Result<(), String> {
        self.proxy.configure(plugin).map_err(|error| error.to_string())?;
        self.no_trap()
    }

    fn no_trap(&self) -> Result<(), String> {
        let trace = self.proxy.trace();
        let trap = trace.traps().next().and_then(|callback| callback.trap.clone());
        trap.map_or(Ok(()), |trap| Err(format!("a trap: {trap}")))
    }

    /// How many documents of an agent were believed.
    fn adopted(&self) -> u64 {
        let name = "outcome=.=adopted;.;meshfence_region_state_polls_total";
        self.proxy.metric(name).unwrap_or(0)
    }

    fn is_rejected(&self) -> bool {
        self.proxy.metric("meshfence_config_rejected") == Some(1)
    }

    /// Sends one of the requests.
    fn ask(&mut self, asked: &[u8]) -> Result<Outcome, String> {
        let exchange = base(asked);
        self.behind.set(exchange.answer());
        let outcome =
            self.proxy.send(request(&exchange, None)).map_err(|error| error.to_string())?;
        let (role, region) = (self.role, &self.region);
        // By whatever configuration it is.
        let sent = Exchanged { exchange: &exchange, role, region, is_sampled: true };
        promise::keep(&outcome, &sent)?;
        Ok(outcome)
    }
}

/// A configuration is accepted by the module where it is here, and refused where it is not; then
/// nothing passes. One that comes after a good one leaves a proxy that is good again with the next.
fn configuration(setting: &Setting, bytes: &[u8]) -> Result<Seen, String> {
    let (role, bytes) = role_of(bytes);
    let bytes = changed(&example(setting, role)?, "", bytes);
    let accepted = accepted(&bytes);
    let plugin = setting.plugin_with(role, bytes.clone());
    let mut asked = Asked::start(setting, plugin.clone(), role)?;
    if let Some(config) = &accepted {
        asked.role = config.attachment.role;
        asked.region.clone_from(&config.attachment.region);
    }
    if asked.is_rejected() != accepted.is_none() {
        let is = if accepted.is_some() { "good" } else { "refused" };
        return Err(format!("a configuration that is {is} here is not in the module"));
    }
    let mut seen = Seen::default();
    for request in ASKED {
        let outcome = asked.ask(request)?;
        let reason = promise::refused(&outcome);
        if (reason == Some(Reason::PolicyUnavailable)) != accepted.is_none() {
            return Err(format!("without a policy: \n{}", promise::shown(&outcome)));
        }
        seen.add(&outcome);
    }
    for line in asked.proxy.logs() {
        // The path in a configuration, and what is wrong there; values are anybody's.
        seen.mark(line.message.split('`').next());
    }
    // Who it is is the attachment's affair, not the configuration's.
    let good = setting.plugin("taiwan", role)?;
    let mut after = Asked::start(setting, good.clone(), role)?;
    after.configure(plugin)?;
    if let Some(config) = &accepted {
        after.role = config.attachment.role;
        after.region.clone_from(&config.attachment.region);
    }
    for request in ASKED {
        seen.add(&after.ask(request)?);
    }
    after.configure(good)?;
    (after.role, after.region) = (role, "taiwan".into());
    let outcome = after.ask(ASKED[1])?;
    let is_right = match role {
        Role::Peer => promise::refused(&outcome) == Some(Reason::PeerUntrusted),
        _ => outcome.status == 200 && outcome.upstream.is_some(),
    };
    if !is_right || after.is_rejected() {
        return Err(format!(
            "a good configuration after it does not serve: \n{}",
            promise::shown(&outcome)
        ));
    }
    Ok(seen)
}

/// A region state is taken as this process takes it; then a write runs where its lease is held, by
/// what the state says, and nothing goes to a region that is down.
fn region_state(setting: &Setting, bytes: &[u8]) -> Result<Seen, String> {
    let bytes = changed(&example(setting, Role::Edge)?, STATE, bytes);
    let accepted = accepted(&bytes);
    let mut asked = Asked::start(setting, setting.plugin_with(Role::Edge, bytes), Role::Edge)?;
    if asked.is_rejected() != accepted.is_none() {
        return Err("what the module makes of a state is not what is made of it here".into());
    }
    let state = accepted.and_then(|config| config.policy.fencing.static_state);
    let mut seen = Seen::default();
    for request in ASKED {
        let outcome = asked.ask(request)?;
        if let Some(state) = &state {
            by_state(&outcome, state)
                .map_err(|broken| format!("{broken}: \n{}", promise::shown(&outcome)))?;
        }
        seen.add(&outcome);
    }
    for line in asked.proxy.logs() {
        seen.mark(line.message.split('`').next());
    }
    Ok(seen)
}

/// A proxy that knows who holds its leases is told something else by its agent, signed: it is
/// believed as this process believes it, and what passes after that goes by what is believed.
fn agent(setting: &Setting, bytes: &[u8]) -> Result<Seen, String> {
    let setting = setting.clone().polling();
    let agent = Agent::new(&setting, "taiwan")?;
    let host = setting.host(setting.plugin("taiwan", Role::Edge)?);
    let mut asked = Asked::of(host.cluster(Agent::cluster(), agent.service()), Role::Edge)?;
    asked.proxy.wait(TO_KNOW);
    let mut document = agent.document();
    document.issued_seq = document.issued_seq.saturating_add(1);
    let known = serde_json::to_value(&document).map_err(|error| error.to_string())?;
    let body = changed(&known, "", bytes);
    let times = setting.config("taiwan", Role::Edge).policy.fencing.lease;
    let mut watch = Watch::default();
    let first = watch.adopt("taiwan", times.ttl_ms, agent.document(), 0);
    first.map_err(|why| format!("the agent itself is not believed: {}", why.as_str()))?;
    let read = LiveDocument::from_json(&body).ok();
    let is_adopted = read.is_some_and(|read| watch.adopt("taiwan", times.ttl_ms, read, 0).is_ok());
    let before = asked.adopted();
    agent.behave(Conduct::Saying { body, is_signed: true });
    asked.proxy.wait(2 * TO_KNOW);
    asked.no_trap()?;
    if (asked.adopted() > before) != is_adopted {
        return Err(
            "what the module believes of an agent is not what is believed of it here".into()
        );
    }
    let config = setting.config("taiwan", Role::Edge);
    let policy = Policy::compile(&config).map_err(|fault| fault.to_string())?;
    let state = watch.state(&policy, Some(0));
    let mut seen = Seen::default();
    for request in ASKED {
        let outcome = asked.ask(request)?;
        if let Some(upstream) = &outcome.upstream {
            let route = upstream.headers.text(HEADER_ROUTE).unwrap_or("taiwan".into());
            let region = policy.region(&route).ok_or("a region that is none")?;
            let fence = upstream.headers.text("x-meshfence-fence");
            let epochs: Vec<String> = policy
                .leases()
                .iter()
                .enumerate()
                .flat_map(|(lease, spec)| {
                    let state = &state;
                    let held = (0..spec.shards.len())
                        .filter_map(move |shard| state.held(lease, shard, Some(0)));
                    held.filter(move |held| held.holder == region)
                        .map(|held| format!(";e={};", held.epoch))
                })
                .collect();
            if let Some(fence) = fence
                && !epochs.iter().any(|epoch| fence.contains(epoch))
            {
                return Err(format!("{fence} in {route}: {}", promise::shown(&outcome)));
            }
        }
        seen.add(&outcome);
    }
    Ok(seen)
}

/// What a passed request owes to region state.
fn by_state(outcome: &Outcome, state: &StateDocument) -> Result<(), String> {
    let Some(upstream) = &outcome.upstream else { return Ok(()) };
    let route = upstream.headers.text(HEADER_ROUTE);
    let region = route.as_deref().unwrap_or("taiwan");
    if route.is_some() && state.health.get(region) == Some(&Health::Down) {
        return Err(format!("{region} is down"));
    }
    let Some(fence) = upstream.headers.text("x-meshfence-fence") else { return Ok(()) };
    let mut parts = fence.split(';');
    let context = parts.next().unwrap_or_default();
    let part =
        |mark: &str| parts.clone().find_map(|part| part.strip_prefix(mark).map(str::to_owned));
    let (epoch, holder, shard) = (part("e="), part("h="), part("s="));
    let name = shard.map_or_else(|| context.to_owned(), |shard| format!("{context}/{shard}"));
    if holder.as_deref() != Some(region) {
        return Err(format!("{holder:?} holds the lease"));
    }
    // A lease that is not named is held at home, for the first time.
    let Some(lease) = state.leases.get(&name) else {
        return if epoch.as_deref() == Some("1") { Ok(()) } else { Err("another epoch".into()) };
    };
    let is_active = matches!(lease.state, None | Some(LeaseState::Active));
    if !is_active || lease.holder != holder || lease.epoch != epoch {
        return Err(format!("the lease `{name}` is {lease:?}"));
    }
    Ok(())
}

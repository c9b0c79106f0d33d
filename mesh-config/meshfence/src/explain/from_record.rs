//! From a decision record back to a request that would be decided like it.
//!
//! A record holds no byte of the client: no path, no token. What it holds is enough to put a request
//! of the same context, effect, subject and region state before the same guard.

use crate::exit::{Exit, Failure};
use guard::header::{FENCE, VIA};
use policy_core::wire::{Context, LeaseDocument, StateDocument, SubjectSource};
use policy_core::{
    Country, Effect, Health, LeaseState, Method, PrincipalKind, Reason, Role, Situation,
};
use policy_doc::{
    Case, Expectation, OwnCredentials, PolicySet, TestCaller, TestCarried, TestCertificate,
    TestRequest, TestSession, TestToken, WorldState,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// A request that stands for a recorded one.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) case: Case,
    /// What the record says came of it: verdict and reason.
    pub(crate) verdict: String,
    pub(crate) reason: String,
    /// What came of it behind this guard, where it passed and that is known.
    pub(crate) outcome: Option<String>,
    /// Its decision id.
    pub(crate) id: String,
    /// Why the explanation may not be that of the recorded request.
    pub(crate) doubts: Vec<String>,
}

/// Reads a decision record: the JSON object itself, or a line of the access log that has one.
pub(crate) fn from_record(set: &PolicySet, line: &str) -> Result<Recorded, Failure> {
    let record = Record::read(line)?;
    let text = |key: &str| record.text(key).map(str::to_owned);
    let need = |key: &str| {
        text(key).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("the record has no `{key}`"))
                .help("a record of a guard without a policy cannot be explained")
        })
    };
    let reason = need("reason")?;
    let known = Reason::parse(&reason).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("the record's reason `{reason}` is none of this release"))
    })?;
    let role = Role::parse(&need("role")?)
        .ok_or_else(|| Failure::new(Exit::Usage, "the record's role is none of this release"))?;
    let region = need("region")?;
    let mut doubts = Vec::new();
    if let Some(hash) = record.text("policyHash")
        && !set.hash().starts_with(hash)
    {
        let ours = set.hash().get(..12).unwrap_or_default();
        doubts.push(format!("the record was made by policy {hash}, and this set is {ours}"));
    }
    let context = record.text("context");
    let context = set.body.contexts.iter().find(|known| Some(known.name.as_str()) == context);
    let request = if let Some(context) = context {
        request(set, &record, context, known)
    } else {
        doubts.push("a record holds no path: the request did not come as far as a context".into());
        elsewhere(set, &region, known)
    };
    let case = Case {
        name: format!("decision {}", text("id").unwrap_or_default()),
        line: 0,
        caller: caller(set, &record, role, known),
        state: WorldState {
            document: state(set, &record, context, known),
            ..WorldState::default()
        },
        state_name: "of the record".to_owned(),
        request,
        expect: Expectation::default(),
        covers: Vec::new(),
        region,
        role,
    };
    let verdict = need("verdict")?;
    let outcome = record.0.get("outcome").and_then(|outcome| {
        let text = |key: &str| outcome.get(key).and_then(Value::as_str);
        Some(format!("{}, {}", text("verdict")?, text("reason")?))
    });
    Ok(Recorded { outcome, case, verdict, reason, id: text("id").unwrap_or_default(), doubts })
}

/// A decision record.
pub(crate) struct Record(pub(crate) Value);

impl Record {
    fn read(line: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| Failure::new(Exit::Usage, format!("this is no record: {why}"));
        let json: Value =
            serde_json::from_str(line.trim()).map_err(|error| refuse(&error.to_string()))?;
        // Envoy's access log has the record as a string, JSON inside JSON.
        let record = match json.get("decision") {
            None => json,
            Some(Value::String(inner)) => serde_json::from_str(inner).map_err(|_| {
                refuse("the line of the log has no decision, so Envoy answered itself")
            })?,
            Some(inner @ Value::Object(_)) => inner.clone(),
            Some(_) => return Err(refuse("its `decision` is no record")),
        };
        if record.get("verdict").is_none() {
            return Err(refuse("it has no `verdict`"));
        }
        Ok(Self(record))
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    fn effect(&self) -> Effect {
        self.text("effect").and_then(Effect::parse).unwrap_or(Effect::Read)
    }
}

/// A request of a context that does what the recorded one did.
pub(crate) fn request(
    set: &PolicySet,
    record: &Record,
    context: &Context,
    reason: Reason,
) -> TestRequest {
    let effect = record.effect();
    let does = |found: &&policy_core::wire::Match| match found.effect {
        Some(says) => says == effect,
        None => method(&found.methods, effect).is_some(),
    };
    let is_it = |found: &&policy_core::wire::Match| record.text("route") == Some(&found.path);
    let matches = || context.matches.iter();
    let found = matches().filter(is_it).find(does).or_else(|| matches().find(does));
    let found = found.or_else(|| matches().next());
    let shard = record.text("shard").unwrap_or("any");
    let template = found.map_or("/", |found| found.path.as_str());
    let methods = found.map(|found| found.methods.as_slice()).unwrap_or_default();
    let by_match = found.is_some_and(|found| found.effect.is_some());
    let method = if by_match {
        methods.first().copied().unwrap_or(Method::Post)
    } else {
        method(methods, effect).unwrap_or(Method::Get)
    };
    let mut headers = Vec::new();
    if effect == Effect::Write && reason != Reason::IdempotencyKeyMissing {
        headers.push(("idempotency-key".to_owned(), "of-the-record".to_owned()));
    }
    headers.extend(token(record, reason).map(|token| (FENCE.to_owned(), token)));
    if reason == Reason::StreamRefused {
        headers.push(("upgrade".to_owned(), "websocket".to_owned()));
    }
    TestRequest {
        method: method.as_str().to_owned(),
        path: path(template, shard),
        host: set.body.hosts.first().cloned().unwrap_or_default(),
        headers,
        carried: TestCarried::default(),
        body: String::new(),
        http2: false,
    }
}

/// A token that a write from another hop has brought, by what was said of it.
fn token(record: &Record, reason: Reason) -> Option<String> {
    record.text("from")?;
    let epoch: u64 = record.text("epoch")?.parse().ok()?;
    let epoch = match reason {
        Reason::FenceMissing => return None,
        Reason::FenceStale => epoch.saturating_sub(1),
        Reason::FenceAhead => epoch.saturating_add(1),
        _ => epoch,
    };
    let shard = record.text("shard").map(|shard| format!(";s={shard}")).unwrap_or_default();
    let here = record.text("region")?;
    Some(format!("{};e={epoch};h={here}{shard}", record.text("lease")?))
}

/// A method of these, or of all, that does this.
fn method(methods: &[Method], effect: Effect) -> Option<Method> {
    let all = [Method::Get, Method::Post];
    let methods = if methods.is_empty() { &all[..] } else { methods };
    methods.iter().copied().find(|method| method.effect() == effect)
}

/// A path that a template matches.
pub(crate) fn path(template: &str, shard: &str) -> String {
    let segment = |segment: &str| match segment {
        "**" => "any".to_owned(),
        variable if variable.starts_with('{') => shard.to_owned(),
        literal => literal.to_owned(),
    };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// A request of no context.
pub(crate) fn elsewhere(set: &PolicySet, here: &str, reason: Reason) -> TestRequest {
    let path = match reason {
        Reason::HealthCheck => set.body.health_paths.first().map_or("/", String::as_str),
        Reason::Malformed => "/a;b",
        _ => "/of-no-context",
    };
    let mut headers = Vec::new();
    let mut method = "GET";
    if reason == Reason::Loop {
        headers.push((VIA.to_owned(), here.to_owned()));
    }
    if reason == Reason::Preflight {
        method = "OPTIONS";
        headers.push(("origin".to_owned(), "https://of-the-record".to_owned()));
        headers.push(("access-control-request-method".to_owned(), "GET".to_owned()));
    }
    TestRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        host: set.body.hosts.first().cloned().unwrap_or_default(),
        headers,
        carried: TestCarried::default(),
        body: String::new(),
        http2: false,
    }
}

/// Who would be seen as the recorded caller was.
fn caller(set: &PolicySet, record: &Record, role: Role, reason: Reason) -> Option<TestCaller> {
    let countries = record.0.get("countries").and_then(Value::as_array);
    let first = countries.and_then(|countries| countries.first()).and_then(Value::as_str);
    let country = first.map(str::to_owned);
    let subject = match reason {
        Reason::SubjectUnknown => Some("unknown".to_owned()),
        Reason::SubjectUnproven => Some("other".to_owned()),
        _ => country.clone(),
    };
    let region = record.text("region").unwrap_or_default().to_owned();
    let certificate = match record.text("from") {
        Some("gateway") => Some(TestCertificate::Gateway { region, subject: subject.clone() }),
        Some(from) => {
            Some(TestCertificate::Peer { region: from.to_owned(), subject: subject.clone() })
        }
        None if role == Role::Peer => {
            Some(TestCertificate::Workload("spiffe://unknown/any".into()))
        }
        None => None,
    };
    let source = set.country_claim();
    let token = source.filter(|_| certificate.is_none() && subject.is_some()).map(|source| {
        let mut claims = BTreeMap::new();
        if let Some(country) = country {
            claims.insert(source.claim.clone(), Value::from(country));
        }
        if let (Some("other"), Some(kind)) = (subject.as_deref(), &source.principal_kind.claim) {
            claims.insert(kind.clone(), Value::from("service"));
        }
        TestToken { issuer: source.issuer.clone(), sub: "of-the-record".to_owned(), claims }
    });
    let has_session = set
        .body
        .residency
        .subject_sources
        .iter()
        .any(|source| matches!(source, SubjectSource::Session(_)));
    let is_bare = certificate.is_none() && token.is_none();
    let session = subject.filter(|_| is_bare && has_session).map(|subject| TestSession {
        sub: "of-the-record".to_owned(),
        country: first.and_then(|code| Country::parse(code.as_bytes())),
        kind: if subject == "other" { PrincipalKind::Service } else { PrincipalKind::Customer },
        expires_ms: 60_000,
        key: None,
    });
    (certificate.is_some() || token.is_some() || session.is_some()).then(|| TestCaller {
        name: "of the record".to_owned(),
        certificate,
        token,
        own: OwnCredentials { session, ..OwnCredentials::default() },
    })
}

/// Region state as far as the record tells: what it does not tell is as in normal times.
pub(crate) fn state(
    set: &PolicySet,
    record: &Record,
    context: Option<&Context>,
    reason: Reason,
) -> StateDocument {
    let mut state = StateDocument {
        situation: record.text("situation").and_then(Situation::parse),
        ..StateDocument::default()
    };
    let here = record.text("region").unwrap_or_default();
    let down = record.0.get("down").and_then(Value::as_array);
    let down = down.into_iter().flatten().filter_map(Value::as_str);
    state.health = down.map(|region| (region.to_owned(), Health::Down)).collect();
    let degraded = record.0.get("degraded").and_then(Value::as_array);
    let degraded = degraded.into_iter().flatten().filter_map(Value::as_str);
    state.health.extend(degraded.map(|region| (region.to_owned(), Health::Degraded)));
    if let Some(lag_ms) = record.0.get("lagMs").and_then(Value::as_object) {
        // Of a region that is not there nobody could tell.
        let of = |region: &str| {
            let lag_ms = lag_ms.get(region).and_then(Value::as_u64);
            lag_ms.and_then(|lag_ms| u32::try_from(lag_ms).ok()).unwrap_or(u32::MAX)
        };
        let regions = set.body.regions.iter().map(|region| &region.name);
        state.lag_ms = regions.map(|region| (region.clone(), of(region))).collect();
    }
    let migration = record.0.get("migration").cloned();
    state.migration = migration.and_then(|migration| serde_json::from_value(migration).ok());
    let lease_state = match reason {
        Reason::LeaseUnknown => Some(LeaseState::Unknown),
        Reason::LeaseVacant => Some(LeaseState::Vacant),
        Reason::LeaseDraining => Some(LeaseState::Draining),
        Reason::LeaseFrozen => Some(LeaseState::Frozen),
        _ => None,
    };
    let name = |lease: &str| match record.text("shard") {
        Some(shard) => format!("{lease}/{shard}"),
        None => lease.to_owned(),
    };
    if let (Some(lease), Some(epoch), Some(holder)) =
        (record.text("lease"), record.text("epoch"), record.text("holder"))
    {
        let held = LeaseDocument {
            state: None,
            holder: Some(holder.to_owned()),
            epoch: Some(epoch.to_owned()),
        };
        state.leases.insert(name(lease), held);
    } else if let (Some(lease_state), Some(context)) = (lease_state, context) {
        let lease = context.lease.as_ref().unwrap_or(&context.name);
        // The record of a refusal does not name the shard: it is said of all of them.
        for shard in shards(set, here, lease) {
            let document = LeaseDocument { state: Some(lease_state), holder: None, epoch: None };
            state.leases.insert(shard, document);
        }
    }
    state
}

/// Every shard of a lease as region state names it.
fn shards(set: &PolicySet, region: &str, lease: &str) -> Vec<String> {
    let policy = policy_core::Policy::compile(&set.plugin_config(region, Role::Edge));
    // The set was loaded, so it compiles.
    let Ok(policy) = policy else { return Vec::new() };
    let spec = policy.leases().iter().find(|spec| *spec.name == *lease);
    let shards = spec.map(|spec| spec.shards.as_slice()).unwrap_or_default();
    shards
        .iter()
        .map(|shard| match &shard.name {
            Some(shard) => format!("{lease}/{shard}"),
            None => lease.to_owned(),
        })
        .collect()
}

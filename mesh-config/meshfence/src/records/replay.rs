//! Recorded requests, judged again by another policy set.
//!
//! A decision is a function of a policy and of what it was given, and a record says what that was:
//! context, path, effect, caller, countries, bases, region state, time. So the policy that made the
//! record makes it again, and another one says what it would have done.

use super::log::Record;
use crate::explain::from_record;
use policy_core::{
    BasisSet, Caller, CanonicalPath, Countries, Country, Deadline, Decision, Evidence, Fence,
    IdempotencyKey, Identity, Policy, PrincipalKind, Pseudonym, Reason, RegionState, Request,
    RequestKind, ResidencySource, Role, Token, Verdict,
};
use policy_doc::PolicySet;
use serde::Serialize;
use std::collections::BTreeMap;

/// Reasons that only the request itself has, or the requests beside it, or the proxy. `unmatched` is
/// among them: a record holds no path that no context has.
const NOT_OF_THE_POLICY: [Reason; 13] = [
    Reason::Malformed,
    Reason::Unmatched,
    Reason::PeerUntrusted,
    Reason::Loop,
    Reason::HostFailure,
    Reason::ClockUnsynced,
    Reason::LostUpdate,
    Reason::ShedGuard,
    Reason::ShedThreshold,
    Reason::ShedRetry,
    Reason::RoutedSpill,
    Reason::PolicyUnavailable,
    Reason::SubjectConflict,
];

/// What came of a request, or would have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Came {
    pub(crate) verdict: String,
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
}

/// Requests that would have come out differently, all in the same way.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Change {
    pub(crate) count: u64,
    /// The id of one of them.
    pub(crate) example: String,
}

/// What a replay has shown.
#[derive(Debug)]
pub(crate) struct Replay<'s> {
    set: &'s PolicySet,
    /// Those that the records are of, by region and role.
    policies: BTreeMap<(String, Role), Option<Policy>>,
    pub(crate) judged: u64,
    /// Records that were not judged again, by why.
    pub(crate) passed_over: BTreeMap<String, u64>,
    pub(crate) changes: BTreeMap<(Came, Came), Change>,
}

impl<'s> Replay<'s> {
    pub(crate) fn new(set: &'s PolicySet) -> Self {
        Self {
            set,
            policies: BTreeMap::new(),
            judged: 0,
            passed_over: BTreeMap::new(),
            changes: BTreeMap::new(),
        }
    }

    /// Judges a record again.
    pub(crate) fn see(&mut self, record: &Record) {
        match self.judge(record) {
            Ok((was, is)) => {
                self.judged += 1;
                if was != is {
                    let example = record.text("id").unwrap_or_default().to_owned();
                    let new = Change { count: 0, example };
                    self.changes.entry((was, is)).or_insert(new).count += 1;
                }
            }
            Err(why) => *self.passed_over.entry(why).or_default() += 1,
        }
    }

    /// What came of a request and what would have.
    ///
    /// # Errors
    /// Why it is not judged again.
    fn judge(&mut self, record: &Record) -> Result<(Came, Came), String> {
        let need = |key: &str| record.text(key).ok_or_else(|| format!("the record has no `{key}`"));
        let reason = need("reason")?;
        let known = Reason::parse(reason)
            .ok_or_else(|| String::from("its reason is none of this release"))?;
        if NOT_OF_THE_POLICY.contains(&known) {
            return Err(format!("`{known}` is not of the policy alone"));
        }
        let was = Came {
            verdict: need("verdict")?.to_owned(),
            reason: reason.to_owned(),
            rule: record.text("rule").map(str::to_owned),
            region: record.text("to").map(str::to_owned),
        };
        let role = Role::parse(need("role")?)
            .ok_or_else(|| String::from("its role is none of this release"))?;
        let (set, region) = (self.set, need("region")?);
        let policy = self.policies.entry((region.to_owned(), role)).or_insert_with(|| {
            // The set was loaded, so it compiles wherever it has the region.
            Policy::compile(&set.plugin_config(region, role)).ok()
        });
        let policy = policy.as_ref().ok_or_else(|| format!("there is no region `{region}`"))?;
        let is = Given { set, policy, record, reason: known }.judge()?;
        Ok((was, is))
    }
}

/// What a decision was given, out of its record.
struct Given<'r> {
    set: &'r PolicySet,
    policy: &'r Policy,
    record: &'r Record,
    reason: Reason,
}

/// Who a record says that the caller was, and when.
struct Recorded {
    caller: Caller,
    at: Option<u64>,
}

impl Evidence for Recorded {
    fn caller(&mut self, _: &Policy, _: Option<&[u8]>) -> Caller {
        self.caller
    }

    fn unix_s(&mut self) -> Option<u64> {
        self.at
    }

    fn monotonic_ms(&mut self) -> Option<u64> {
        None
    }
}

impl<'r> Given<'r> {
    fn judge(&self) -> Result<Came, String> {
        let Self { set, policy, record, reason } = *self;
        let (method, path, host) = self.request();
        let path = CanonicalPath::parse(path.as_bytes()).map_err(|_| "its path is none")?;
        let request = Request {
            method: method.as_bytes(),
            host: host.as_bytes(),
            path: &path,
            kind: match reason {
                Reason::StreamRefused => RequestKind::Stream,
                Reason::Preflight => RequestKind::Preflight,
                _ => RequestKind::Plain,
            },
            idempotency_key: match reason {
                Reason::IdempotencyKeyMissing => IdempotencyKey::Absent,
                _ => IdempotencyKey::Present,
            },
            deadline: (reason == Reason::Deadline).then(|| Deadline::from_ms(0)),
            token: None,
            client_country: None,
            entry: record.text("entry").and_then(|entry| policy.region(entry)),
        };
        let context = record.text("context");
        let context = set.body.contexts.iter().find(|known| Some(known.name.as_str()) == context);
        let value = from_record::Record(record.value.clone());
        let mut document = from_record::state(set, &value, context, reason);
        // What the policy does not know is not in its state.
        document.leases.retain(|name, _| policy.find_lease(name).is_some());
        document.health.retain(|name, _| policy.region(name).is_some());
        document.lag_ms.retain(|name, _| policy.region(name).is_some());
        document.migration = document.migration.filter(|migration| {
            [&migration.from, &migration.to].iter().all(|name| policy.region(name).is_some())
        });
        let state = RegionState::from_document(policy, &document)
            .map_err(|fault| format!("its region state does not fit: {fault}"))?;
        let mut evidence = self.evidence();
        let decision = policy_core::decide(policy, &state, &request, &mut evidence);
        let token = self.token(decision.held);
        let decision = if token.is_some() {
            let request = Request { token, ..request };
            policy_core::decide(policy, &state, &request, &mut evidence)
        } else {
            decision
        };
        Ok(came(policy, &decision))
    }

    /// A method, a path and a host that are judged as the recorded ones were.
    fn request(&self) -> (String, String, String) {
        let Self { set, record, reason, .. } = *self;
        let value = from_record::Record(record.value.clone());
        let context = record.text("context");
        let known = set.body.contexts.iter().find(|known| Some(known.name.as_str()) == context);
        let mut request = match known {
            Some(context) => from_record::request(set, &value, context, reason),
            None => from_record::elsewhere(set, record.text("region").unwrap_or_default(), reason),
        };
        if let Some(route) = record.text("route") {
            // The path is the record's, whatever paths the policy has.
            request.path = from_record::path(route, record.text("shard").unwrap_or("any"));
            if known.is_none() {
                let is_write = record.text("effect") == Some("write");
                request.method = String::from(if is_write { "POST" } else { "GET" });
            }
        }
        (request.method, request.path, request.host)
    }

    /// The token that a write from another hop has brought, by what was said of it; by the policy,
    /// which is the sender's too.
    fn token(&self, held: Option<Fence<'r>>) -> Option<Token<'r>> {
        self.record.text("from")?;
        let Fence { lease, shard, holder, epoch } = held?;
        let token = Token { lease, shard, holder: self.policy.region_name(holder), epoch };
        match self.reason {
            Reason::FenceMissing => None,
            Reason::FenceStale => Some(Token { epoch: epoch.saturating_sub(1), ..token }),
            Reason::FenceAhead => Some(Token { epoch: epoch.saturating_add(1), ..token }),
            // For another one, whichever.
            Reason::WrongRegion => Some(Token { holder: "", ..token }),
            _ => Some(token),
        }
    }

    fn evidence(&self) -> Recorded {
        let record = self.record;
        let countries =
            record.texts("countries").filter_map(|code| Country::parse(code.as_bytes()));
        let countries = countries.fold(Countries::NONE, Countries::with);
        let granted: Vec<&str> = record.texts("bases").collect();
        let known = self.policy.granted_bases().iter().enumerate();
        let known = known.filter(|(_, basis)| granted.contains(&&*basis.name));
        let bases = known.fold(BasisSet::EMPTY, |bases, (number, _)| bases.with(number));
        let identity = |kind| Identity {
            kind,
            countries,
            source: record.text("residencySource").and_then(ResidencySource::parse),
            bases,
            pseudonym: record.text("subject").and_then(|text| Pseudonym::parse(text.as_bytes())),
        };
        let kind = record.text("kind").and_then(PrincipalKind::parse);
        Recorded {
            caller: kind.map_or(Caller::Anonymous, |kind| Caller::Known(identity(kind))),
            at: record.number("at").or_else(|| record.number("ts").map(|ms| ms / 1_000)),
        }
    }
}

fn came(policy: &Policy, decision: &Decision<'_>) -> Came {
    let verdict: Verdict = decision.verdict();
    Came {
        verdict: verdict.as_str().to_owned(),
        reason: decision.reason.as_str().to_owned(),
        rule: decision.rule.map(str::to_owned),
        region: decision.region.map(|region| policy.region_name(region).to_owned()),
    }
}

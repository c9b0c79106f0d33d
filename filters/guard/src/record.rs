//! The decision record: one JSON object in the access log, written when the stream ends.
//!
//! No client bytes go into it: names come from the policy, everything else from closed sets. Until
//! the end it is a [`Draft`], which costs no more than what it keeps: most are never written.

mod fields;
mod regions;

use crate::actual::{self, Actual};
use crate::candidate::Difference;
use crate::chain::{self, Place};
use crate::guard::InForce;
use crate::host::Host;
use crate::keyring::Key;
use crate::metric::Metric;
use crate::redaction::Body;
use crate::stream::{DecisionId, Passed, Worker};
use crate::trust::Sender;
pub use fields::{FIELDS, FIELDS_NEW};
use origin_tag::{ConflictKind, Stamp};
use policy_core::{
    Circumstances, Countries, DataClass, Decision, DeclaredClass, Effect, Operation, Policy,
    PrincipalKind, Pseudonym, Reason, RegionId, RegionSet, RegionState, ResidencySource, Verdict,
    wire,
};
use regions::{Moved, StateSeen};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Not;

/// What is known of a request that may be recorded.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: DecisionId,
    sender: Sender,
    principal: Option<Box<str>>,
    /// Whether it came from another region, or goes to one.
    is_abroad: bool,
    /// The region state that it was decided by; none without a policy.
    state: Option<StateSeen>,
    decided: Decided,
    version: Option<Stamp>,
    /// How it is in conflict with another write.
    conflict: Option<ConflictKind>,
    stripped: usize,
    /// Whether it is Envoy that looks whether the region is there.
    is_routine: bool,
    /// What came of it after it had passed here: its region could not be reached, or another guard
    /// refused it.
    outcome: Option<Came>,
    /// How many values of its response were redacted, by each profile that applied.
    redacted: BTreeMap<usize, u32>,
    /// What the candidate would have done otherwise.
    pub(crate) candidate: Option<Difference>,
    /// The class of data that the upstream has declared.
    declared: Option<DeclaredClass>,
    /// The regions that have acknowledged it, where that matters.
    acknowledged: Option<RegionSet>,
    /// No upstream has seen it, though the proxy may have chosen one.
    is_unsent: bool,
}

/// What came of a request behind the guard that let it pass.
#[derive(Debug)]
struct Came {
    reason: Reason,
    /// The rule by which its response was withheld.
    rule: Option<Box<str>>,
}

/// A decision that does not need its policy any more.
#[derive(Debug)]
struct Decided {
    reason: Reason,
    status: u16,
    malformed: Option<&'static str>,
    context: Option<Box<str>>,
    route: Option<Box<str>>,
    effect: Option<Effect>,
    operation: Option<Operation>,
    classes: Box<[DataClass]>,
    purpose: Option<Box<str>>,
    kind: Option<PrincipalKind>,
    subject: Option<Pseudonym>,
    /// None where it was not judged by the rules.
    circumstances: Option<Circumstances>,
    countries: Countries,
    source: Option<ResidencySource>,
    is_elsewhere: bool,
    rule: Option<Box<str>>,
    basis: Option<Box<str>>,
    exception: Option<Box<str>>,
    region: Option<RegionId>,
    is_stale: bool,
    held: Option<Held>,
    shadow: Option<Instead>,
}

/// What would have come of a request.
#[derive(Debug)]
struct Instead {
    reason: Reason,
    rule: Option<Box<str>>,
    region: Option<RegionId>,
}

/// The lease that a request needs.
#[derive(Debug)]
struct Held {
    lease: Box<str>,
    shard: Option<Box<str>>,
    holder: RegionId,
    epoch: u64,
}

/// What a record says beside its decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'s> {
    pub(crate) sender: Sender,
    /// The sender's name, if the policy knows it.
    pub(crate) principal: Option<&'s str>,
    /// Whether it entered the mesh in another region.
    pub(crate) has_crossed: bool,
    pub(crate) version: Option<Stamp>,
    pub(crate) conflict: Option<ConflictKind>,
    pub(crate) stripped: usize,
    /// Whether it is Envoy that looks whether the region is there.
    pub(crate) is_routine: bool,
}

impl Decided {
    fn of(decision: &Decision<'_>) -> Self {
        let held = decision.held.map(|held| Held {
            lease: held.lease.into(),
            shard: held.shard.map(Into::into),
            holder: held.holder,
            epoch: held.epoch,
        });
        Self {
            reason: decision.reason,
            status: decision.status,
            malformed: decision.malformed,
            context: decision.context.map(|context| context.name.clone()),
            route: decision.found.map(|found| found.route.clone()),
            effect: decision.effect,
            operation: decision.operation,
            classes: decision
                .context
                .map(|context| context.data_classes.clone())
                .unwrap_or_default(),
            purpose: decision.context.and_then(|context| context.purpose.clone()),
            kind: decision.identity.map(|identity| identity.kind),
            subject: decision.identity.and_then(|identity| identity.pseudonym),
            circumstances: decision.judged.map(|judged| judged.circumstances()),
            countries: decision.countries,
            source: decision.source,
            is_elsewhere: decision.is_elsewhere,
            rule: decision.rule.map(Into::into),
            basis: decision.basis.map(Into::into),
            exception: decision.exception.map(Into::into),
            region: decision.region,
            is_stale: decision.stale,
            held,
            shadow: decision.shadow.map(|shadow| Instead {
                reason: shadow.reason,
                rule: shadow.rule.map(Into::into),
                region: shadow.region,
            }),
        }
    }
}

impl Draft {
    /// Of a decision.
    pub(crate) fn new(
        id: DecisionId,
        state: &RegionState,
        decision: &Decision<'_>,
        seen: &Seen<'_>,
    ) -> Self {
        Self {
            id,
            sender: seen.sender,
            principal: seen.principal.map(Into::into),
            is_abroad: seen.has_crossed || matches!(seen.sender, Sender::Region(_)),
            state: Some(StateSeen::of(state, decision)),
            decided: Decided::of(decision),
            version: seen.version,
            conflict: seen.conflict,
            stripped: seen.stripped,
            is_routine: seen.is_routine,
            outcome: None,
            redacted: BTreeMap::new(),
            candidate: None,
            declared: None,
            acknowledged: None,
            is_unsent: false,
        }
    }

    /// Of a request that there was no policy for.
    pub(crate) fn without_policy(id: DecisionId) -> Self {
        Self {
            id,
            sender: Sender::Anybody,
            principal: None,
            is_abroad: false,
            state: None,
            decided: Decided::of(&Decision::early(Reason::PolicyUnavailable)),
            version: None,
            conflict: None,
            stripped: 0,
            is_routine: false,
            outcome: None,
            redacted: BTreeMap::new(),
            candidate: None,
            declared: None,
            acknowledged: None,
            is_unsent: false,
        }
    }

    /// Holds where the request really went against what was decided, and writes the record, if it
    /// is one that is written.
    pub(crate) fn end(self, worker: &mut Worker, force: Option<&InForce>, host: &mut impl Host) {
        let policy = force.map(|force| &force.policy);
        let actual = policy.map_or(Actual::Nowhere, |policy| self.actual(policy, host));
        let to = self.decided.region.or(policy.map(Policy::here));
        let is_violation = matches!(actual, Actual::Region(region) if to != Some(region));
        if is_violation {
            host.count(Metric::Violation);
        }
        if is_violation || policy.is_none_or(|policy| self.is_kept(policy)) {
            self.write(worker, force, host, &End { actual, is_violation });
        }
    }

    /// Where the request really went, if it was let pass at all.
    fn actual(&self, policy: &Policy, host: &mut impl Host) -> Actual {
        if self.is_routine || self.is_unsent || !self.decided.reason.verdict().is_pass() {
            return Actual::Nowhere;
        }
        let actual = actual::of(policy, host);
        if actual == Actual::Unknown && policy.role().routes() {
            host.count(Metric::ActualUnknown);
        }
        actual
    }

    /// Whether it is written: all but plain passes and shed requests, and of those a sample.
    fn is_kept(&self, policy: &Policy) -> bool {
        let is_plain = match self.decided.reason.verdict() {
            // Of what is routine the access log has no line.
            Verdict::Allow => !self.is_abroad || self.is_routine,
            Verdict::Shed => true,
            Verdict::Route | Verdict::Redact | Verdict::Deny | Verdict::Hold => false,
        };
        let is_told = !is_plain
            || self.outcome.is_some()
            || !self.redacted.is_empty()
            || self.decided.exception.is_some()
            || self.conflict.is_some_and(ConflictKind::is_certain)
            || self.declared.is_some_and(DeclaredClass::is_bound)
            || self.decided.shadow.is_some()
            // What is routine has no line in the access log.
            || (self.candidate.is_some() && !self.is_routine);
        is_told || (!self.is_routine && self.is_drawn(policy.sample_per_mille()))
    }

    /// Whether it is one of the sample: by its id alone, so that it is the same whoever asks.
    fn is_drawn(&self, per_mille: u32) -> bool {
        let place = self.id.spread().checked_rem(wire::Records::ALL_PER_MILLE.into());
        place.is_some_and(|place| place < u64::from(per_mille))
    }

    /// Writes it, as the next one of its VM.
    fn write(self, worker: &mut Worker, force: Option<&InForce>, host: &mut impl Host, end: &End) {
        let policy = force.map(|force| &force.policy);
        let key = force.and_then(|force| force.keys.first());
        let place = worker.chain.next();
        let size = (end.actual != Actual::Nowhere).then(|| size(host)).flatten();
        let record = Record {
            ts: host.unix_ms(),
            mono: host.monotonic_ms(),
            bytes: size,
            actual: match end.actual {
                Actual::Region(region) => policy.map(|policy| policy.region_name(region)),
                Actual::Nowhere | Actual::Unknown => None,
            },
            violation: end.is_violation,
            key: key.map(Key::id),
            ..Record::of(&self, policy, place)
        };
        // Strings and numbers always serialise.
        let json = serde_json::to_vec(&record).unwrap_or_default();
        let sealed = chain::seal(json, key.map(Key::secret));
        let written = sealed.filter(|(json, _)| host.record(json).is_ok());
        if let Some((_, hash)) = written {
            worker.chain.grow(hash);
        } else {
            worker.chain.lose();
            host.count(Metric::LostRecord);
        }
    }
}

/// What is known only when a stream ends.
struct End {
    actual: Actual,
    is_violation: bool,
}

/// The size of the whole response.
fn size(host: &mut impl Host) -> Option<u64> {
    let bytes = host.property(&["response", "total_size"]).ok().flatten()?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// Adds that no upstream has seen a request.
pub(crate) fn unsent(record: &mut Option<Draft>) {
    if let Some(draft) = record {
        draft.is_unsent = true;
    }
}

/// Adds the class that an upstream has declared.
pub(crate) fn declared(record: &mut Option<Draft>, class: DeclaredClass) {
    if let Some(draft) = record {
        draft.declared = Some(class);
    }
}

/// Adds that the response of a request was withheld, by a rule if there is one.
pub(crate) fn withheld(record: &mut Option<Draft>, reason: Reason, rule: Option<&str>) {
    if let Some(draft) = record {
        draft.outcome = Some(Came { reason, rule: rule.map(Into::into) });
    }
}

/// Adds which regions have acknowledged a write.
pub(crate) fn acknowledged(record: &mut Option<Draft>, by: Option<RegionSet>) {
    if let Some(draft) = record {
        draft.acknowledged = by;
    }
}

/// Adds how a write is in conflict with what it has met.
pub(crate) fn conflicted(record: &mut Option<Draft>, kind: Option<ConflictKind>) {
    if let (Some(draft), Some(_)) = (record, kind) {
        draft.conflict = kind;
    }
}

/// Adds what came of a request that was let pass here.
pub(crate) fn amend(record: &mut Option<Draft>, reason: Reason) {
    if let Some(draft) = record {
        draft.outcome = Some(Came { reason, rule: None });
    }
}

/// Adds how much of its response was redacted, once that is known.
pub(crate) fn redacted(record: &mut Option<Draft>, passed: &Passed) {
    if let (Some(draft), Body::Redacted(counts)) = (record, &passed.body) {
        draft.redacted.clone_from(counts);
    }
}

/// One record, as the log has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'d> {
    id: String,
    /// When it was written: milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<u64>,
    /// The same by a clock that never steps, for records of one VM alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    mono: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_set: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_hash: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'d str>,
    /// The region whose gateway sent the request, or `gateway` for one of this region.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'d str>,
    /// Who sent it, if that is an id that the policy names.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'d str>,
    /// Where region state came from; `static` says that no agent is behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    situation: Option<&'static str>,
    /// The regions that region state says are down.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    down: Vec<&'d str>,
    /// The regions that serve with trouble.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<&'d str>,
    /// How far behind which regions are, where that made a difference.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    lag_ms: BTreeMap<&'d str, u32>,
    /// The migration that the request was part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    migration: Option<Moved<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'d str>,
    /// The path template of its match.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data_classes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'d str>,
    /// What the caller is.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    /// Stands for the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// Where it entered the mesh, if that is another region.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'d str>,
    /// The bases of a transfer that the caller's claims grant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bases: Vec<&'d str>,
    /// When it was judged, in seconds since the Unix epoch, where the rules ask for the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    /// Where the subject resides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    countries: Vec<String>,
    /// What said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    residency_source: Option<&'static str>,
    /// The client seems to be in another country than that.
    #[serde(skip_serializing_if = "Not::not")]
    client_elsewhere: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_basis: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<&'d str>,
    verdict: &'static str,
    reason: &'static str,
    /// The HTTP status of the decision.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'static str>,
    /// Where it was to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'d str>,
    /// A read, served by a copy that is too far behind, or may be.
    #[serde(skip_serializing_if = "Not::not")]
    stale: bool,
    /// Where it did run.
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<&'d str>,
    /// It ran in another region than was decided.
    #[serde(skip_serializing_if = "Not::not")]
    violation: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// How it is in conflict with another write.
    #[serde(skip_serializing_if = "Option::is_none")]
    conflict: Option<&'static str>,
    /// The size of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// How many headers were dropped that no caller may set.
    #[serde(skip_serializing_if = "is_zero")]
    stripped: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome<'d>>,
    /// The regions that have acknowledged a write, where that matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    acks: Option<Vec<&'d str>>,
    /// The class of data that the upstream has declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    declared_class: Option<&'static str>,
    /// What would have come of it if no rule were in shadow.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<Would<'d>>,
    /// What the candidate would have done.
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<Would<'d>>,
    /// What was redacted of the response, by each profile that applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    redactions: Vec<Redactions<'d>>,
    /// The VM.
    node: String,
    /// How many records of it before this one could not be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    seq: u64,
    prev: String,
    /// The key of its hash; without one the hash shows accidents and no intent.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'d str>,
}

/// What came of a request behind the guard that let it pass.
#[derive(Debug, Serialize)]
struct Outcome<'d> {
    verdict: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'d str>,
}

/// What would have come of a request.
#[derive(Debug, Serialize)]
struct Would<'d> {
    verdict: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'d str>,
}

impl<'d> Would<'d> {
    fn of(reason: Reason, rule: Option<&'d str>, to: Option<&'d str>) -> Self {
        Self { verdict: reason.verdict().as_str(), reason: reason.as_str(), rule, to }
    }
}

/// How many values of a response one profile has redacted.
#[derive(Debug, Serialize)]
struct Redactions<'d> {
    profile: &'d str,
    count: u32,
}

impl<'d> Record<'d> {
    fn of(draft: &'d Draft, policy: Option<&'d Policy>, place: Place) -> Self {
        let name = |region| policy.map(|policy| policy.region_name(region));
        let decided = &draft.decided;
        let held = decided.held.as_ref();
        let Place { seq, prev, lost } = place;
        let state = draft.state.as_ref();
        let told = policy.zip(state);
        let judged = policy.zip(decided.circumstances);
        let entry = judged.map(|(_, judged)| judged.entry);
        Self {
            id: draft.id.to_string(),
            ts: None,
            mono: None,
            policy_set: policy.map(|policy| policy.set().0),
            policy_hash: policy
                .map(|policy| policy.set().1)
                .map(|hash| hash.get(..12).unwrap_or(hash)),
            role: policy.map(|policy| policy.role().as_str()),
            region: policy.and_then(|policy| name(policy.here())),
            from: match draft.sender {
                Sender::Anybody => None,
                Sender::Region(region) => name(region),
                Sender::Gateway => Some("gateway"),
            },
            principal: draft.principal.as_deref(),
            state: state.map(|state| state.origin.as_str()),
            situation: state.map(|state| state.situation.as_str()),
            down: told.map_or_else(Vec::new, |(policy, state)| state.down(policy)),
            degraded: told.map_or_else(Vec::new, |(policy, state)| state.degraded(policy)),
            lag_ms: told.map_or_else(BTreeMap::new, |(policy, state)| state.lag_ms(policy)),
            migration: told.and_then(|(policy, state)| state.moved(policy)),
            context: decided.context.as_deref(),
            route: decided.route.as_deref(),
            effect: decided.effect.map(Effect::as_str),
            operation: decided.operation.map(Operation::as_str),
            data_classes: decided.classes.iter().map(|class| class.as_str()).collect(),
            purpose: decided.purpose.as_deref(),
            kind: decided.kind.map(PrincipalKind::as_str),
            subject: decided.subject.map(|pseudonym| pseudonym.to_string()),
            entry: entry.filter(|entry| Some(*entry) != policy.map(Policy::here)).and_then(name),
            bases: judged.map_or_else(Vec::new, |(policy, judged)| {
                let all = policy.granted_bases().iter().enumerate();
                let granted = all.filter(|(number, _)| judged.bases.contains(*number));
                granted.map(|(_, basis)| &*basis.name).collect()
            }),
            at: judged.and_then(|(_, judged)| judged.at).map(|at| at.0),
            countries: decided.countries.iter().map(|country| country.to_string()).collect(),
            residency_source: decided.source.map(ResidencySource::as_str),
            client_elsewhere: decided.is_elsewhere,
            rule: decided.rule.as_deref(),
            transfer_basis: decided.basis.as_deref(),
            exception: decided.exception.as_deref(),
            verdict: decided.reason.verdict().as_str(),
            reason: decided.reason.as_str(),
            status: decided.status,
            part: decided.malformed,
            to: decided.region.and_then(name),
            stale: decided.is_stale,
            actual: None,
            violation: false,
            lease: held.map(|held| &*held.lease),
            shard: held.and_then(|held| held.shard.as_deref()),
            epoch: held.map(|held| held.epoch.to_string()),
            holder: held.and_then(|held| name(held.holder)),
            version: draft.version.map(|version| version.to_string()),
            conflict: draft.conflict.map(ConflictKind::as_str),
            bytes: None,
            stripped: draft.stripped,
            outcome: draft.outcome.as_ref().map(|came| Outcome {
                verdict: if came.reason.is_remark() { decided.reason } else { came.reason }
                    .verdict()
                    .as_str(),
                reason: came.reason.as_str(),
                rule: came.rule.as_deref(),
            }),
            acks: policy.zip(draft.acknowledged).map(|(policy, by)| regions::names(policy, by)),
            declared_class: draft.declared.map(DeclaredClass::as_str),
            shadow: decided.shadow.as_ref().map(|would| {
                Would::of(would.reason, would.rule.as_deref(), would.region.and_then(name))
            }),
            candidate: draft.candidate.as_ref().map(|would| {
                Would::of(would.reason, would.rule.as_deref(), would.region.as_deref())
            }),
            redactions: policy.map_or_else(Vec::new, |policy| {
                let of = |(number, count): (&usize, &u32)| {
                    let profile = policy.profiles().name(*number)?;
                    Some(Redactions { profile, count: *count })
                };
                draft.redacted.iter().filter_map(of).collect()
            }),
            node: draft.id.node(),
            lost: Some(lost).filter(|lost| *lost > 0),
            seq,
            prev: prev.to_string(),
            key: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

//! A request at its guard: who sent it, what is decided, and what it carries on.

use crate::answer::Answer;
use crate::candidate::{self, Difference};
use crate::effects::{self, Carried};
use crate::facts::{Facts, MalformedPart};
use crate::guard::{Candidate, InForce};
use crate::host::{Headers, Host};
use crate::keyring::KeyRing;
use crate::metric::Metric;
use crate::record::{Draft, Seen};
use crate::redaction::{self, Body};
use crate::signature::{self, Signed, Version};
use crate::sources::{self, Asked, Means, Shown};
use crate::stream::{DecisionId, Flow, Passed, Phase, Stream, Worker};
use crate::trust::{self, Believed, Sender};
use crate::via::Via;
use load_shed::{InFlight, Slot};
use origin_tag::{Marking, Received};
use policy_core::{
    CanonicalPath, Decision, Mode, Policy, Reason, Request, Role, Trace, Verdict, decide,
    decide_traced, exempt,
};

/// A request whose headers are there.
pub(crate) struct Arrived<'g, 'h> {
    pub(crate) force: &'g InForce,
    pub(crate) headers: &'h Headers,
    pub(crate) end_of_stream: bool,
}

impl<'g> Arrived<'g, '_> {
    /// Decides it, and does what that means.
    pub(crate) fn judge<H: Host>(
        self,
        worker: &mut Worker,
        stream: &mut Stream,
        mut turn: Turn<'g, '_, H>,
        trace: &mut impl Trace<'g>,
    ) -> Flow {
        let InForce { policy, in_flight, keys, sound_maps, .. } = self.force;
        let (sender, principal) = match Sender::of(policy, turn.host) {
            Ok(known) => known,
            Err(reason) => return turn.refuse(stream, &Decision::early(reason)),
        };
        (turn.sender, turn.principal) = (sender, principal);
        let read = Facts::read(self.headers, !self.end_of_stream).and_then(|facts| {
            let believed = if sender.is_trusted() {
                Believed::read(policy, &facts.claimed)?
            } else {
                Believed::default()
            };
            let path = CanonicalPath::parse(facts.target).map_err(|_| MalformedPart(":path"))?;
            Ok((facts, believed, path))
        });
        let (facts, believed, path) = match read {
            Ok(read) => read,
            Err(part) => return turn.refuse(stream, &Decision::malformed(part.0)),
        };
        let signed = signed(policy, keys, &facts, turn.host);
        let may_stay = |name: &[u8]| sender.may_set(name) || signed.covers(name);
        let is_foreign =
            |name: &[u8]| !may_stay(name) && !sender.has_spent(name) && !signed.is_spent(name);
        turn.stripped = facts.reserved.iter().filter(|name| is_foreign(name)).count();
        if turn.stripped > 0 {
            turn.host.count(Metric::Stripped);
        }
        turn.has_crossed = believed.via.first().is_some();
        let request = Request {
            method: facts.method,
            host: facts.host,
            path: &path,
            kind: facts.kind,
            idempotency_key: facts.idempotency_key,
            deadline: facts.deadline.into_iter().chain(believed.deadline).min(),
            token: believed.token,
            client_country: sources::client_country(policy, self.headers),
            entry: believed.via.first(),
        };
        if let Some(reason) = detour(policy, sender, believed.via, &request) {
            return turn.refuse(stream, &Decision::early(reason));
        }
        let state = policy.configured_state();
        let shown = Shown { facts: &facts, headers: self.headers, sender, signed };
        let means = Means { keys, sound_maps, is_counted: true };
        let mut evidence = Asked::new(policy, shown, means, &mut *turn.host);
        let mut decision = decide_traced(policy, state, &request, &mut evidence, trace);
        let caller = evidence.known();
        let difference = self.candidate(&decision, &request, shown, turn.host);
        turn.note(&decision, difference);
        if !decision.verdict().is_pass() {
            return turn.refuse(stream, &decision);
        }
        let Ok(slot) = self.admit(&decision) else {
            decision.reason = Reason::ShedGuard;
            // It let nothing run.
            decision.exception = None;
            decision.status = policy.shed_status();
            return turn.refuse(stream, &decision);
        };
        let is_versioned = sender.is_trusted() || signed.version.is_some();
        let came = facts.claimed.version.filter(|_| is_versioned);
        let (version, is_ahead) = match mark(worker, policy, &decision, came, turn.host) {
            Ok(marked) => marked,
            Err(reason) => {
                give_back(in_flight, slot);
                decision.reason = reason;
                decision.status = reason.status();
                return turn.refuse(stream, &decision);
            }
        };
        let target = path.rewritten();
        let subject = caller.as_ref().and_then(|caller| trust::subject(policy, caller));
        let subject = subject.as_deref();
        let is_sent_away = decision.verdict() == Verdict::Route;
        let credentials = sources::own_credentials(policy, self.headers);
        let carried = Carried {
            withheld: credentials.filter(|_| is_sent_away).collect(),
            via: believed.via,
            target: target.as_deref(),
            subject,
            version: version.as_ref().map(|(text, marking)| (text.as_str(), *marking)),
            is_ahead,
            sig: self.sign(&facts, sender, subject, is_ahead, turn.host),
        };
        if came.is_none() && lacks_version(policy, &decision) {
            turn.host.count(Metric::Unversioned);
        }
        let applied = effects::apply(turn.host, policy, &decision, &facts, &carried, may_stay)
            .and_then(|()| redaction::prepare(decision.redact, self.headers, turn.host));
        if applied.is_err() {
            give_back(in_flight, slot);
            return turn.refuse(stream, &Decision::early(Reason::HostFailure));
        }
        let is_probe = decision.reason == Reason::HealthCheck;
        turn.is_routine = is_probe && facts.is_envoy;
        turn.record(stream, &decision, carried.version.map(|(text, _)| text));
        let passed = passed(policy, &decision, turn.id, turn.is_grpc);
        stream.phase = Phase::Passed(Passed { slot, ..passed });
        Flow::Continue
    }

    /// What the candidate would have done otherwise, if there is one.
    fn candidate(
        &self,
        decision: &Decision<'_>,
        request: &Request<'_>,
        shown: Shown<'_>,
        host: &mut impl Host,
    ) -> Option<Difference> {
        let InForce { policy, candidate, keys, .. } = self.force;
        let Candidate { policy: candidate, sound_maps } = candidate.as_ref()?;
        let same = |region| candidate.region(policy.region_name(region));
        let request = Request { entry: request.entry.and_then(same), ..request.clone() };
        // What there is to count has been counted.
        let means = Means { keys, sound_maps, is_counted: false };
        let mut evidence = Asked::new(candidate, shown, means, host);
        let would = decide(candidate, candidate.configured_state(), &request, &mut evidence);
        candidate::difference(policy, decision, candidate, &would)
    }

    /// Signs for the guard behind a workload what the workload may pass on.
    fn sign(
        &self,
        facts: &Facts<'_>,
        sender: Sender,
        subject: Option<&str>,
        is_ahead: bool,
        host: &mut impl Host,
    ) -> Option<String> {
        let InForce { policy, keys, .. } = self.force;
        if policy.role() != Role::Inbound || keys.first().is_none() {
            return None;
        }
        let mut claimed = facts.claimed;
        if is_ahead {
            claimed.unsynced = Some(b"1");
        }
        let what = Signed {
            subject: subject.map(str::as_bytes),
            version: Version::of(&claimed).filter(|_| sender.is_trusted()),
        };
        if what == Signed::default() {
            return None;
        }
        signature::sign(keys, policy.region_name(policy.here()), what, host.unix_ms()?)
    }

    /// A place for a request that runs here, where this is the place to count it; probes are never
    /// counted.
    fn admit(&self, decision: &Decision<'_>) -> Result<Option<Slot>, Full> {
        let InForce { policy, in_flight, .. } = self.force;
        let Some(context) = decision.context else { return Ok(None) };
        let runs_here = matches!(decision.verdict(), Verdict::Allow | Verdict::Redact);
        if !runs_here || !policy.is_shed_point() {
            return Ok(None);
        }
        in_flight.admit(context.pool, context.priority).map(Some).ok_or(Full)
    }
}

/// What is remembered of a request that passes.
fn passed(policy: &Policy, decision: &Decision<'_>, id: DecisionId, is_grpc: bool) -> Passed {
    Passed {
        id,
        is_grpc,
        region: decision.region.unwrap_or(policy.here()),
        is_bound: decision.context.is_some_and(|context| context.is_bound),
        is_probe: decision.reason == Reason::HealthCheck,
        if_unreachable: fencing::unreachable(decision.leased),
        judged: decision.judged,
        redact: decision.redact,
        body: Body::Whole,
        slot: None,
    }
}

/// What is wrong with the way that a request of another region has come. Other regions look at the
/// health of this one without having passed anything.
fn detour(policy: &Policy, sender: Sender, via: Via, request: &Request<'_>) -> Option<Reason> {
    let Sender::Region(from) = sender else { return None };
    if exempt(policy, request).is_some() {
        None
    } else if via.is_loop(policy.here()) {
        Some(Reason::Loop)
    } else {
        (via.last() != Some(from)).then_some(Reason::PeerUntrusted)
    }
}

/// Whether an eventual write that has arrived in this region would have to have a version. It is not
/// stamped here: where it came from is not for this guard to say.
fn lacks_version(policy: &Policy, decision: &Decision<'_>) -> bool {
    let is_enforced = policy.versioning().mode == Mode::Enforce;
    !policy.role().routes() && is_enforced && decision.is_eventual_write()
}

/// What tells an eventual write from others: the version that it gets here, or whether the one that
/// it came with is too far ahead.
fn mark(
    worker: &mut Worker,
    policy: &Policy,
    decision: &Decision<'_>,
    came: Option<&[u8]>,
    host: &mut impl Host,
) -> Result<(Option<(String, Marking)>, bool), Reason> {
    match came {
        Some(version) => Ok((None, judge_version(policy, decision, version, host)?)),
        None => Ok((stamp(worker, policy, decision, host)?, false)),
    }
}

/// Whether the version that an eventual write came with is too far ahead to be taken for sound.
fn judge_version(
    policy: &Policy,
    decision: &Decision<'_>,
    version: &[u8],
    host: &mut impl Host,
) -> Result<bool, Reason> {
    if policy.versioning().mode == Mode::Disabled || !decision.is_eventual_write() {
        return Ok(false);
    }
    match origin_tag::received(policy.versioning(), version, host.unix_ms()) {
        Received::Sound => Ok(false),
        Received::Unsynced => Ok(true),
        Received::Refused => Err(Reason::ClockUnsynced),
    }
}

/// The worker has as much in flight as it may.
struct Full;

/// The version of an eventual write, as text and as what it is worth.
fn stamp(
    worker: &mut Worker,
    policy: &Policy,
    decision: &Decision<'_>,
    host: &mut impl Host,
) -> Result<Option<(String, Marking)>, Reason> {
    if !decision.stamped {
        return Ok(None);
    }
    let now = host.unix_ms().ok_or(Reason::ClockUnsynced)?;
    let code = policy.region_code(policy.here());
    match worker.stamper.mark(policy.versioning(), code, now) {
        Marking::Refused => Err(Reason::ClockUnsynced),
        marking @ (Marking::Synced(stamp) | Marking::Unsynced(stamp)) => {
            Ok(Some((stamp.to_string(), marking)))
        }
    }
}

/// What a workload passes on that the guard before it has signed.
fn signed<'h>(
    policy: &Policy,
    keys: &KeyRing,
    facts: &Facts<'h>,
    host: &mut impl Host,
) -> Signed<'h> {
    let claimed = &facts.claimed;
    let (Role::Outbound, Some(sig), None) = (policy.role(), claimed.sig, claimed.repeated) else {
        return Signed::default();
    };
    // Without a clock nobody can tell how old a signature is.
    let Some(now_ms) = host.unix_ms() else { return Signed::default() };
    let said = Signed { subject: claimed.subject, version: Version::of(claimed) };
    signature::verify(keys, policy.region_name(policy.here()), sig, said, now_ms)
}

/// One request and how to end it.
pub(crate) struct Turn<'g, 't, H> {
    policy: &'g Policy,
    host: &'t mut H,
    id: DecisionId,
    is_grpc: bool,
    sender: Sender,
    /// The sender's name, if the policy knows it.
    principal: Option<&'g str>,
    /// Whether it entered the mesh in another region.
    has_crossed: bool,
    stripped: usize,
    /// Whether it is Envoy that looks whether the region is there, once a second.
    is_routine: bool,
    /// What the candidate would have done otherwise.
    difference: Option<Difference>,
}

impl<'g, 't, H: Host> Turn<'g, 't, H> {
    pub(crate) fn new(policy: &'g Policy, host: &'t mut H, id: DecisionId, is_grpc: bool) -> Self {
        Self {
            policy,
            host,
            id,
            is_grpc,
            sender: Sender::Anybody,
            principal: None,
            has_crossed: false,
            stripped: 0,
            is_routine: false,
            difference: None,
        }
    }

    /// Counts what a decision says beside what is done.
    fn note(&mut self, decision: &Decision<'_>, difference: Option<Difference>) {
        if let Some(shadow) = &decision.shadow {
            self.host.count(Metric::ShadowDifference(shadow.reason));
        }
        if let Some(difference) = &difference {
            self.host.count(Metric::CandidateDifference(difference.reason));
        }
        if decision.is_elsewhere {
            self.host.count(Metric::ClientElsewhere);
        }
        if decision.exception_lapsed {
            self.host.count(Metric::LapsedException);
        }
        self.difference = difference;
    }

    /// Counts a decision and keeps what its record is made of.
    fn record(&mut self, stream: &mut Stream, decision: &Decision<'_>, version: Option<&str>) {
        self.host.count(Metric::Decision(Some(self.policy.role()), decision.reason));
        let state = self.policy.configured_state();
        let Self { sender, principal, has_crossed, stripped, is_routine, .. } = *self;
        let seen = Seen { sender, principal, has_crossed, version, stripped, is_routine };
        let mut draft = Draft::new(self.id, state, decision, &seen);
        draft.candidate = self.difference.take();
        stream.record = Some(draft);
    }

    /// Ends the request with what was decided.
    pub(crate) fn refuse(mut self, stream: &mut Stream, decision: &Decision<'_>) -> Flow {
        self.record(stream, decision, None);
        let is_shed = decision.verdict() == Verdict::Shed;
        let answer = Answer {
            status: decision.status,
            part: decision.malformed,
            is_grpc: self.is_grpc,
            blocked_by: decision.blocked_by,
            priority: decision.context.filter(|_| is_shed).map(|context| context.priority),
            ..Answer::to(self.id, decision.reason)
        };
        stream.phase = Phase::Answered(None);
        answer.give(self.host)
    }
}

/// Gives back the place that a request took, if it took one.
pub(crate) fn give_back(in_flight: &InFlight, slot: Option<Slot>) {
    if let Some(slot) = slot {
        in_flight.release(slot);
    }
}

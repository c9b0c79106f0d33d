//! A request at its guard: who sent it, what is decided, and what it carries on.

use crate::admission::{self, Admitted, Asking, Shed};
use crate::answer::Answer;
use crate::candidate::{self, Difference};
use crate::committed::Committed;
use crate::effects::{self, Carried};
use crate::facts::{self, Facts, MalformedPart};
use crate::guard::{Candidate, InForce};
use crate::host::{Headers, Host, HostFault};
use crate::keyring::KeyRing;
use crate::metric::{Counter, Metric};
use crate::record::{Draft, Seen};
use crate::redaction::{self, Body};
use crate::reroute::{self, FirstPass};
use crate::signature::{self, Signed, Version};
use crate::sources::{self, Asked, Means, Shown};
use crate::stream::{DecisionId, Flow, Passed, Phase, Stream, Worker};
use crate::trust::{self, Believed, Sender};
use crate::versioning::{Eventual, Versions};
use crate::via::Via;
use origin_tag::{ConflictKind, Marking, Stamp};
use policy_core::{
    Caller, CanonicalPath, Decision, Mode, Policy, Reason, RegionState, Request, Role, Shadowed,
    Trace, Verdict, decide, decide_traced, exempt,
};
use std::rc::Rc;

/// A request whose headers are there.
pub(crate) struct Arrived<'g, 'h> {
    pub(crate) force: &'g InForce,
    pub(crate) headers: &'h Headers,
    pub(crate) end_of_stream: bool,
    /// What it went by before, if it has been here before.
    pub(crate) first: Option<FirstPass>,
}

/// What a request has turned out to say.
struct Read<'h> {
    facts: Facts<'h>,
    believed: Believed<'h>,
    path: CanonicalPath<'h>,
    signed: Signed<'h>,
    /// Whom it is about, as far as that was asked for.
    caller: Option<Caller>,
}

impl<'g, 'h> Arrived<'g, 'h> {
    /// Decides it, and does what that means.
    pub(crate) fn judge<H: Host>(
        self,
        worker: &mut Worker,
        stream: &mut Stream,
        mut turn: Turn<'g, '_, H>,
        trace: &mut impl Trace<'g>,
    ) -> Flow {
        let InForce { policy, keys, sound_maps, .. } = self.force;
        let (sender, principal) = match Sender::of(policy, turn.host) {
            Ok(known) => known,
            Err(reason) => return turn.refuse(stream, &Decision::early(reason)),
        };
        (turn.sender, turn.principal) = (sender, principal);
        let (facts, believed, path) = match self.read(sender) {
            Ok(read) => read,
            Err(part) => return turn.refuse(stream, &Decision::malformed(part.0)),
        };
        let signed = signed(policy, keys, &facts, turn.host);
        let may_stay = |name: &[u8]| sender.may_set(name) || signed.covers(name);
        let is_foreign =
            |name: &[u8]| !may_stay(name) && !sender.has_spent(name) && !signed.is_spent(name);
        turn.stripped = self.stripped(&facts, is_foreign, turn.host);
        turn.has_crossed = believed.via.first().is_some();
        let request = Request {
            method: facts.method,
            host: facts.host,
            path: &path,
            kind: facts.kind,
            idempotency_key: facts.idempotency_key,
            deadline: [
                facts.deadline,
                believed.deadline,
                facts::expected_timeout(sender, self.headers),
            ]
            .into_iter()
            .flatten()
            .min(),
            token: believed.token,
            client_country: sources::client_country(policy, self.headers),
            entry: believed.via.first(),
        };
        if let Some(reason) = detour(policy, sender, believed.via, &request) {
            return turn.refuse(stream, &Decision::early(reason));
        }
        let shown = Shown { facts: &facts, headers: self.headers, sender, signed };
        let means = Means { keys, sound_maps, is_counted: true };
        let mut evidence = Asked::new(policy, shown, means, &mut *turn.host);
        let mut decision = decide_traced(policy, &turn.state, &request, &mut evidence, trace);
        let asking = self.asking(&facts, sender, turn.id);
        let wish = asking.wish(&decision, &mut evidence, worker);
        let caller = evidence.known();
        let difference = self.candidate(&decision, &request, shown, turn.host);
        turn.note(&decision, difference);
        if self.first.as_ref().is_some_and(|first| first.is_repeated(policy, &decision)) {
            reroute::give_up(&mut decision);
        }
        if !decision.verdict().is_pass() {
            return turn.refuse(stream, &decision);
        }
        let asked =
            wish.map_or(Ok(Admitted::default()), |wish| wish.ask(worker, self.force, turn.id));
        let admitted = match asked {
            Ok(admitted) => admitted,
            Err(shed) if admission::is_shadow(policy) => {
                turn.shadow(&mut decision, shed);
                Admitted::default()
            }
            Err(shed) => return turn.shed(stream, &decision, shed),
        };
        let read = Read { facts, believed, path, signed, caller };
        self.pass(worker, stream, turn, &decision, &read, admitted)
    }

    /// Lets it pass, with what that means written onto it.
    fn pass<H: Host>(
        &self,
        worker: &mut Worker,
        stream: &mut Stream,
        mut turn: Turn<'g, '_, H>,
        decision: &Decision<'g>,
        read: &Read<'h>,
        Admitted { place, degrade }: Admitted,
    ) -> Flow {
        let policy = &self.force.policy;
        let sender = turn.sender;
        let Read { facts, believed, path, signed, caller } = read;
        let came = came(facts, sender, signed);
        let eventual = Eventual {
            force: self.force,
            decision,
            headers: self.headers,
            causal: facts.causal,
            believed,
            came,
            path: path.path(),
            caller: caller.as_ref(),
            is_grpc: turn.is_grpc,
        };
        let versions = match eventual.versions(worker, turn.host) {
            Ok(versions) => versions,
            Err(reason) => {
                return turn.refuse(stream, &not_run(decision, reason, reason.status()));
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
            sig: self.sign(facts, sender, subject, versions.is_ahead, turn.host),
            versions,
            degrade: degrade.max(believed.degrade),
        };
        if came.is_none() && lacks_version(policy, decision) {
            turn.host.count(Metric::Unversioned);
        }
        let applied = effects::apply(
            turn.host,
            policy,
            decision,
            (self.headers, facts),
            &carried,
            |name: &[u8]| sender.may_set(name) || signed.covers(name),
        )
        .and_then(|()| redaction::prepare(decision.redact, self.headers, turn.host))
        .and_then(|()| self.allow_another(decision, carried.withheld.is_empty(), turn.host));
        if applied.is_err() {
            return turn.refuse(stream, &Decision::early(Reason::HostFailure));
        }
        turn.is_routine = decision.reason == Reason::HealthCheck && facts.is_envoy;
        let Versions { marking, conflict, tracked, .. } = carried.versions;
        turn.record(stream, decision, marking.and_then(Marking::stamp), conflict);
        let passed = passed(policy, decision, turn.id, turn.is_grpc);
        stream.phase = Phase::Passed(Passed { place, versions: tracked, ..passed });
        Flow::Continue
    }

    /// How many headers it loses that its sender may not set.
    fn stripped(
        &self,
        facts: &Facts<'_>,
        is_foreign: impl Fn(&[u8]) -> bool,
        host: &mut impl Host,
    ) -> usize {
        // What its first pass has set is nobody's attempt.
        let is_first = self.first.is_none();
        let foreign = facts.reserved.iter().filter(|name| is_first && is_foreign(name)).count();
        if foreign > 0 {
            host.count(Metric::Stripped);
        }
        foreign
    }

    /// What it says, as far as its sender may say it.
    fn read(
        &self,
        sender: Sender,
    ) -> Result<(Facts<'h>, Believed<'h>, CanonicalPath<'h>), MalformedPart> {
        let facts = Facts::read(self.headers, !self.end_of_stream)?;
        let believed = if sender.is_trusted() {
            Believed::read(&self.force.policy, &facts.claimed)?
        } else {
            Believed::default()
        };
        let path = CanonicalPath::parse(facts.target).map_err(|_| MalformedPart(":path"))?;
        Ok((facts, believed, path))
    }

    /// Notes what a first pass goes by.
    fn allow_another(
        &self,
        decision: &Decision<'_>,
        is_whole: bool,
        host: &mut impl Host,
    ) -> Result<(), HostFault> {
        let is_first = self.first.is_none();
        reroute::prepare(&self.force.policy, decision, is_whole && is_first, host)
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
        let state = candidate.as_ref()?.state();
        let Candidate { policy: candidate, sound_maps, .. } = candidate.as_ref()?;
        let same = |region| candidate.region(policy.region_name(region));
        let request = Request { entry: request.entry.and_then(same), ..request.clone() };
        // What there is to count has been counted.
        let means = Means { keys, sound_maps, is_counted: false };
        let mut evidence = Asked::new(candidate, shown, means, host);
        let would = decide(candidate, &state, &request, &mut evidence);
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

    /// What matters of it for who is let in first.
    fn asking<'a>(&'a self, facts: &'a Facts<'a>, sender: Sender, id: DecisionId) -> Asking<'a> {
        Asking { force: self.force, facts, headers: self.headers, sender, id }
    }
}

/// The decision of a request that would have passed and is refused for something else: it let nothing
/// run.
fn not_run<'g>(decision: &Decision<'g>, reason: Reason, status: u16) -> Decision<'g> {
    Decision {
        reason,
        status,
        exception: None,
        keyless: false,
        moved: false,
        stale: false,
        ..decision.clone()
    }
}

/// What is remembered of a request that passes.
fn passed(policy: &Policy, decision: &Decision<'_>, id: DecisionId, is_grpc: bool) -> Passed {
    Passed {
        id,
        is_grpc,
        region: decision.region.unwrap_or(policy.here()),
        is_bound: decision.context.is_some_and(|context| context.is_bound),
        is_stale: decision.stale,
        is_probe: decision.reason == Reason::HealthCheck,
        if_unreachable: fencing::unreachable(decision.leased),
        committed: Committed::of(policy, decision),
        versions: None,
        judged: decision.judged,
        redact: decision.redact,
        body: Body::Whole,
        place: None,
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

/// The version that a request came with, if whoever sent it may say so.
fn came(facts: &Facts<'_>, sender: Sender, signed: &Signed<'_>) -> Option<Stamp> {
    let is_believed = sender.is_trusted() || signed.version.is_some();
    facts.claimed.version.filter(|_| is_believed).and_then(Stamp::parse)
}

/// Whether an eventual write that has arrived in this region would have to have a version. It is not
/// stamped here: where it came from is not for this guard to say.
fn lacks_version(policy: &Policy, decision: &Decision<'_>) -> bool {
    let is_enforced = policy.versioning().mode == Mode::Enforce;
    !policy.role().routes() && is_enforced && decision.is_eventual_write()
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
    force: &'g InForce,
    /// What is known of the regions while it is judged.
    state: Rc<RegionState>,
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
    pub(crate) fn new(force: &'g InForce, host: &'t mut H, id: DecisionId, is_grpc: bool) -> Self {
        Self {
            force,
            state: force.state(),
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
        if decision.reason == Reason::FenceAhead {
            self.force.want_state();
        }
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
    fn record(
        &mut self,
        stream: &mut Stream,
        decision: &Decision<'_>,
        version: Option<Stamp>,
        conflict: Option<ConflictKind>,
    ) {
        let role = self.force.policy.role();
        self.host.count(Metric::Decision(Some(role), decision.reason));
        if decision.stale {
            self.host.count(Metric::Stale(role));
        }
        if decision.keyless {
            self.host.count(Metric::Keyless(role));
        }
        let Self { sender, principal, has_crossed, stripped, is_routine, .. } = *self;
        let seen = Seen { sender, principal, has_crossed, version, conflict, stripped, is_routine };
        let mut draft = Draft::new(self.id, &self.state, decision, &seen);
        draft.candidate = self.difference.take();
        stream.record = Some(draft);
    }

    /// Notes that a request would be shed that passes all the same.
    fn shadow(&mut self, decision: &mut Decision<'_>, shed: Shed) {
        self.host.count(Metric::ShadowDifference(shed.reason));
        decision.shadow.get_or_insert(Shadowed { reason: shed.reason, rule: None, region: None });
    }

    /// Ends a request that there is no place for.
    fn shed(self, stream: &mut Stream, decision: &Decision<'_>, shed: Shed) -> Flow {
        let Shed { reason, priority, retry_after_s } = shed;
        let policy = &self.force.policy;
        let is_overload = reason.verdict() == Verdict::Shed;
        let status = if is_overload { policy.shed_status() } else { reason.status() };
        if let Some(context) = decision.context.filter(|_| is_overload) {
            let (role, context) = (policy.role(), &*context.name);
            self.host.count_named(Counter::Shed { role, context, priority, reason });
        }
        self.end(stream, &not_run(decision, reason, status), retry_after_s)
    }

    /// Ends the request with what was decided.
    pub(crate) fn refuse(self, stream: &mut Stream, decision: &Decision<'_>) -> Flow {
        self.end(stream, decision, None)
    }

    fn end(
        mut self,
        stream: &mut Stream,
        decision: &Decision<'_>,
        retry_after_s: Option<u32>,
    ) -> Flow {
        self.record(stream, decision, None, None);
        let answer = Answer {
            status: decision.status,
            part: decision.malformed,
            is_grpc: self.is_grpc,
            blocked_by: decision.blocked_by,
            retry_after_s,
            ..Answer::to(self.id, decision.reason)
        };
        stream.phase = Phase::Answered(None);
        answer.give(self.host)
    }
}

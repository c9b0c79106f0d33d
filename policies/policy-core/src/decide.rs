//! The one decision: steps 3 to 7 of a request.
//!
//! ```text
//! classify ──► deadline ──► residency ──► fencing ──► route
//!    │            │             │            │          │
//!    └────────────┴─── the first refusal ends it ───────┘
//! ```
//!
//! Where a region is chosen (edge, outbound) fencing is the write rule: the lease says where. Where
//! such a choice arrives (peer, inbound) it is the receiving rule: everything is judged again for
//! this region, and a leased write has to bring the token of the lease as this region knows it.

use crate::caller::{BasisSet, Caller, Countries, Evidence, Identity, Pseudonym};
use crate::country::Country;
use crate::deadline::Deadline;
use crate::instant::Instant;
use crate::lease::{LeaseView, RegionState};
use crate::path::CanonicalPath;
use crate::policy::{Context, LeaseRef, LeaseSpec, Match, Policy, ShardSource};
use crate::reason::{Reason, Verdict};
use crate::redaction::ProfileSet;
use crate::region::{RegionId, RegionSet};
use crate::residency::{Circumstances, Found, ResidencyCell, Subject};
use crate::response::Judged;
use crate::trace::{Step, Trace};
use crate::vocabulary::{
    Effect, IdempotencyRule, Method, Mode, OnUnknownSubject, Operation, Otherwise, PrincipalKind,
    Reads, ResidencySource, SubjectMode,
};
use core::cmp::Ordering;

/// What is known of a request before it is judged. Nothing in it comes from a header that the
/// caller could have set to widen what is allowed.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    /// The method as it came.
    pub method: &'r [u8],
    /// The host as it came, with or without a port.
    pub host: &'r [u8],
    /// The path.
    pub path: &'r CanonicalPath<'r>,
    /// What kind of exchange it is.
    pub kind: RequestKind,
    /// Whether an `Idempotency-Key` came with it.
    pub idempotency_key: IdempotencyKey,
    /// How long the caller will wait, where known.
    pub deadline: Option<Deadline>,
    /// The fencing token that a trusted sender put on it.
    pub token: Option<Token<'r>>,
    /// Where the client sits, as far as somebody says so: never a reason to allow anything.
    pub client_country: Option<Country>,
    /// Where it entered the mesh, as far as a trusted sender tells; here if nobody does.
    pub entry: Option<RegionId>,
}

/// A fencing token as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'r> {
    /// The context that the lease is named after.
    pub lease: &'r str,
    /// The lease's shard, if it is split.
    pub shard: Option<&'r str>,
    /// Whom the sender takes for the holder.
    pub holder: &'r str,
    /// Since which grant.
    pub epoch: u64,
}

/// What kind of exchange a request opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A request and a response.
    Plain,
    /// A gRPC call.
    Grpc,
    /// An upgrade or a tunnel: what follows cannot be judged.
    Stream,
    /// A CORS preflight: OPTIONS with `Origin`, `Access-Control-Request-Method` and no body.
    Preflight,
}

/// Whether an `Idempotency-Key` came with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotencyKey {
    /// One did.
    Present,
    /// None did.
    Absent,
}

/// What is done with a request, why, and what follows from it.
#[derive(Debug, Clone)]
pub struct Decision<'p> {
    /// Why it gets what it gets; this also says what that is.
    pub reason: Reason,
    /// The HTTP status of a refusal; 200 for a pass.
    pub status: u16,
    /// The part of the request that is malformed, for that reason.
    pub malformed: Option<&'static str>,
    /// The context it belongs to.
    pub context: Option<&'p Context>,
    /// The match that it belongs to.
    pub found: Option<&'p Match>,
    /// What it does, once that is known.
    pub effect: Option<Effect>,
    /// What it does with data, once that is known.
    pub operation: Option<Operation>,
    /// Who sent it, where that was asked and is known.
    pub identity: Option<Identity>,
    /// Where its subject resides.
    pub countries: Countries,
    /// What said so.
    pub source: Option<ResidencySource>,
    /// The residency rule that decided, else the narrowest that applied.
    pub rule: Option<&'p str>,
    /// The transfer basis that this rule rests on.
    pub basis: Option<&'p str>,
    /// The exception by which alone it may run where it does.
    pub exception: Option<&'p str>,
    /// Whether an exception would have made a difference that has expired.
    pub exception_lapsed: bool,
    /// Who blocks it, where a statute does.
    pub blocked_by: Option<&'p str>,
    /// What would have come of it if no rule were in shadow, where that is something else.
    pub shadow: Option<Shadowed<'p>>,
    /// Whether the client seems to be in another country than where its subject resides. That is no
    /// ground for anything: people travel.
    pub is_elsewhere: bool,
    /// What its response is judged by.
    pub judged: Option<Judged>,
    /// Where it runs.
    pub region: Option<RegionId>,
    /// The token of a leased write.
    pub fence: Option<Fence<'p>>,
    /// The lease that the request needs, as this region knows it, whatever came of the request.
    pub held: Option<Fence<'p>>,
    /// Whether it depends on a lease, so that an unreachable region means an unreachable holder.
    pub leased: bool,
    /// Whether it is an eventual write, to be stamped.
    pub stamped: bool,
    /// What is left of the caller's deadline for the next hop.
    pub remaining_ms: Option<u64>,
    /// How the response is redacted.
    pub redact: ProfileSet,
}

/// What would have come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shadowed<'p> {
    /// Why it would have got what it would have got.
    pub reason: Reason,
    /// The residency rule.
    pub rule: Option<&'p str>,
    /// Where it would have run.
    pub region: Option<RegionId>,
}

/// The fencing token of a leased write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence<'p> {
    /// The context that the lease is named after.
    pub lease: &'p str,
    /// The lease's shard, if it is split.
    pub shard: Option<&'p str>,
    /// Who holds it.
    pub holder: RegionId,
    /// Since which grant.
    pub epoch: u64,
}

impl Decision<'_> {
    /// A decision before anything else is known of the request.
    pub fn early(reason: Reason) -> Self {
        Self {
            reason,
            status: reason.status(),
            malformed: None,
            context: None,
            found: None,
            effect: None,
            operation: None,
            identity: None,
            countries: Countries::NONE,
            source: None,
            rule: None,
            basis: None,
            exception: None,
            exception_lapsed: false,
            blocked_by: None,
            shadow: None,
            is_elsewhere: false,
            judged: None,
            region: None,
            fence: None,
            held: None,
            leased: false,
            stamped: false,
            remaining_ms: None,
            redact: ProfileSet::EMPTY,
        }
    }

    /// A refusal of a request of which this part is malformed.
    pub fn malformed(part: &'static str) -> Self {
        Self { malformed: Some(part), ..Self::early(Reason::Malformed) }
    }

    /// Whether it is a write of eventually consistent data, to be told from others by a version.
    pub fn is_eventual_write(&self) -> bool {
        self.effect == Some(Effect::Write)
            && self.context.is_some_and(|context| context.lease.is_none())
    }

    /// What is done.
    pub fn verdict(&self) -> Verdict {
        self.reason.verdict()
    }
}

/// Decides a request. `evidence` is asked only where the answer depends on it.
pub fn decide<'p>(
    policy: &'p Policy,
    state: &RegionState,
    request: &Request<'_>,
    evidence: &mut impl Evidence,
) -> Decision<'p> {
    decide_traced(policy, state, request, evidence, &mut ())
}

/// [`decide`], with everything that it looks at shown to `trace` on the way.
pub fn decide_traced<'p>(
    policy: &'p Policy,
    state: &RegionState,
    request: &Request<'_>,
    evidence: &mut impl Evidence,
    trace: &mut impl Trace<'p>,
) -> Decision<'p> {
    let Some(method) = Method::from_bytes(request.method) else {
        return Decision::malformed(":method");
    };
    if let Some(reason) = exempt(policy, request) {
        trace.see(Step::Exempt(reason));
        return Decision { region: Some(policy.here()), ..Decision::early(reason) };
    }
    let knows_host = policy.knows_host(request.host);
    let found = if knows_host { policy.find_match(request.path, method) } else { None };
    let Some((found, context)) = found else {
        trace.see(Step::Unmatched { knows_host });
        let status = policy.unmatched_status();
        return Decision { status, ..Decision::early(Reason::Unmatched) };
    };
    let effect = found.effect.unwrap_or(method.effect());
    let operation = found.operation.unwrap_or(match effect {
        Effect::Write => Operation::Write,
        Effect::Read | Effect::None => Operation::Read,
    });
    trace.see(Step::Classified { found, context, effect });
    let mut decision = Decision {
        context: Some(context),
        found: Some(found),
        effect: Some(effect),
        operation: Some(operation),
        ..Decision::early(Reason::Unmatched)
    };
    let judged = Judgement { policy, state, request, method, found, context, effect, operation };
    if let Err(reason) = judged.run(&mut decision, evidence, trace) {
        decision.reason = reason;
    }
    judged.finish(&mut decision);
    decision
}

/// Health paths and CORS preflights are answered whatever the policy says.
pub fn exempt(policy: &Policy, request: &Request<'_>) -> Option<Reason> {
    let method = Method::from_bytes(request.method)?;
    let is_probe = matches!(method, Method::Get | Method::Head);
    if is_probe && request.kind == RequestKind::Plain && policy.is_health_path(request.path) {
        return Some(Reason::HealthCheck);
    }
    (request.kind == RequestKind::Preflight && policy.knows_host(request.host))
        .then_some(Reason::Preflight)
}

/// A request whose context is known.
struct Judgement<'p, 'r> {
    policy: &'p Policy,
    state: &'r RegionState,
    request: &'r Request<'r>,
    method: Method,
    found: &'p Match,
    context: &'p Context,
    effect: Effect,
    operation: Operation,
}

/// Where a request runs.
#[derive(Debug, Clone, Copy)]
struct Course {
    region: RegionId,
    /// It could run here, and its subject's home is elsewhere.
    steered: bool,
}

impl<'p> Judgement<'p, '_> {
    fn run(
        &self,
        decision: &mut Decision<'p>,
        evidence: &mut impl Evidence,
        trace: &mut impl Trace<'p>,
    ) -> Result<(), Reason> {
        if let Some(deadline) = self.request.deadline {
            let left = deadline.remaining_ms();
            trace.see(Step::Deadline { left });
            decision.remaining_ms = Some(left.ok_or(Reason::Deadline)?);
        }
        let subject = self.subject(decision, evidence, trace)?;
        let resides = |country| decision.countries.iter().any(|known| known == country);
        decision.is_elsewhere = decision.countries.first().is_some()
            && self.request.client_country.is_some_and(|country| !resides(country));
        let identity = decision.identity;
        let mut circumstances = Circumstances {
            operation: self.operation,
            kind: identity.map_or(PrincipalKind::Anonymous, |identity| identity.kind),
            entry: self.request.entry.unwrap_or(self.policy.here()),
            bases: identity.map_or(BasisSet::EMPTY, |identity| identity.bases),
            bucket: identity.and_then(|identity| identity.pseudonym).map(Pseudonym::bucket),
            at: None,
        };
        let mut now = || evidence.unix_s().map(Instant);
        let table = self.context.residency();
        // Nobody can tell which rules are in force at a time that nobody can tell.
        let found = table.find(subject, &mut circumstances, &mut now).ok_or(Reason::HostFailure)?;
        decision.judged =
            Some(Judged { context: self.found.context, subject, circumstances, ran_in: None });
        decision.exception_lapsed = found.cell.has_lapsed();
        let mut meant = found.shadow.map(|cell| (cell, decision.clone()));
        let came = self.settle(&found.cell, &found, subject, decision, trace);
        if let Some((cell, would)) = &mut meant {
            let would_come = self.settle(cell, &found, subject, would, &mut ());
            self.take_course(would, would_come);
        }
        self.take_course(decision, came);
        decision.shadow = meant.and_then(|(_, would)| {
            let differs = would.reason != decision.reason
                || would.region != decision.region
                || would.redact != decision.redact;
            differs.then_some(Shadowed {
                reason: would.reason,
                rule: would.rule,
                region: would.region,
            })
        });
        Ok(())
    }

    /// Writes down what came of it.
    fn take_course(&self, decision: &mut Decision<'p>, course: Result<Course, Reason>) {
        let here = self.policy.here();
        match course {
            Ok(Course { region, steered }) => {
                decision.region = Some(region);
                decision.reason = match (region == here, decision.leased) {
                    (true, _) if !decision.redact.is_empty() => Reason::Redacted,
                    (true, _) => Reason::Allowed,
                    (false, true) => Reason::RoutedHolder,
                    (false, false) if steered => Reason::RoutedHome,
                    (false, false) => Reason::RoutedResidency,
                };
            }
            Err(reason) => {
                decision.reason = reason;
                decision.redact = ProfileSet::EMPTY;
                decision.exception = None;
                decision.fence = None;
            }
        }
    }

    /// What follows from the reason.
    fn finish(&self, decision: &mut Decision<'p>) {
        decision.status = decision.reason.status();
        decision.stamped = decision.verdict().is_pass()
            && self.policy.role().routes()
            && decision.is_eventual_write()
            && self.policy.versioning().mode == Mode::Enforce;
        match &mut decision.judged {
            Some(judged) if decision.reason.verdict().is_pass() => judged.ran_in = decision.region,
            judged => *judged = None,
        }
    }

    /// Steps 5 to 7 by what the rules say: where the request runs.
    fn settle(
        &self,
        cell: &ResidencyCell,
        found: &Found,
        subject: Subject,
        decision: &mut Decision<'p>,
        trace: &mut impl Trace<'p>,
    ) -> Result<Course, Reason> {
        let situation = self.state.situation;
        decision.rule = cell.rule(situation).and_then(|rule| self.policy.rule_name(rule));
        decision.basis = cell.basis().and_then(|basis| self.policy.basis_name(basis));
        if let Some(judged) = decision.judged {
            trace.see(Step::Residency {
                cell: *cell,
                rule: decision.rule,
                shadow: found.shadow,
                circumstances: judged.circumstances,
            });
        }
        let served_here = self.residency(cell, subject, decision)?;
        let course = self.place(cell, found, subject, decision, served_here, trace)?;
        if cell.is_exempted(course.region, situation) {
            decision.exception =
                cell.exception().and_then(|exception| self.policy.exception_name(exception));
        }
        Ok(course)
    }

    /// Where it runs of those regions that it may run in.
    fn place(
        &self,
        cell: &ResidencyCell,
        found: &Found,
        subject: Subject,
        decision: &mut Decision<'p>,
        served_here: bool,
        trace: &mut impl Trace<'p>,
    ) -> Result<Course, Reason> {
        let arrives = !self.policy.role().routes();
        let here = self.policy.here();
        if let Some(lease) = &self.context.lease {
            if self.request.kind == RequestKind::Stream {
                return Err(Reason::StreamRefused);
            }
            let is_write = self.effect == Effect::Write;
            if is_write || self.context.reads == Reads::Holder {
                decision.leased = true;
                let (fence, spec) = self.held(lease, found.standing, subject, trace)?;
                decision.held = Some(fence);
                if arrives {
                    self.receive(&fence, is_write)?;
                } else {
                    self.send(&fence, cell)?;
                }
                trace.see(Step::Held { lease: spec, fence });
                decision.fence = is_write.then_some(fence);
                return Ok(Course { region: fence.holder, steered: false });
            }
        }
        if arrives || served_here {
            return Ok(Course { region: here, steered: false });
        }
        self.route(cell, trace)
    }

    /// Whom the request is about.
    fn subject(
        &self,
        decision: &mut Decision<'p>,
        evidence: &mut impl Evidence,
        trace: &mut impl Trace<'p>,
    ) -> Result<Subject, Reason> {
        let mode = self.context.subject;
        if mode == SubjectMode::None {
            trace.see(Step::Subject { mode, caller: None, about: Ok(Subject::Nobody) });
            return Ok(Subject::Nobody);
        }
        let is_needed = mode == SubjectMode::SelfCaller;
        let segment = |segment| self.request.path.segments().nth(segment);
        let resource = self.found.resource_segment.and_then(segment);
        let caller = evidence.caller(self.policy, resource);
        let about = match caller {
            Caller::Unreadable => Err(Reason::HostFailure),
            // Whoever shows a session that is over has to be told where that matters.
            Caller::Refused if is_needed || self.context.residency().depends_on_country() => {
                Err(Reason::CredentialsMissing)
            }
            Caller::Anonymous if is_needed => Err(Reason::CredentialsMissing),
            Caller::Anonymous | Caller::Refused => Ok(self.open(&caller, decision)),
            Caller::Known(identity) => {
                decision.identity = Some(identity);
                decision.countries = identity.countries;
                decision.source = identity.source;
                match self.open(&caller, decision) {
                    Subject::Unknown => self.about(&identity, is_needed),
                    known => Ok(known),
                }
            }
        };
        trace.see(Step::Subject { mode, caller: Some(caller), about });
        about
    }

    /// Whom a request is about of which no source says anything: somebody of the context's default
    /// country, where it has one for such callers.
    fn open(&self, caller: &Caller, decision: &mut Decision<'p>) -> Subject {
        let Some(country) = self.context.default_for(caller) else { return Subject::Unknown };
        decision.countries = Countries::of(country);
        decision.source = Some(ResidencySource::Default);
        Subject::Of(decision.countries)
    }

    /// Whom a request of somebody known is about.
    fn about(&self, identity: &Identity, is_needed: bool) -> Result<Subject, Reason> {
        if identity.countries.first().is_some() {
            return Ok(Subject::Of(identity.countries));
        }
        if identity.kind != PrincipalKind::Customer {
            return if is_needed { Err(Reason::SubjectUnproven) } else { Ok(Subject::Unknown) };
        }
        // Whoever has a country has to say which where that makes a difference: an unreadable claim
        // must not widen what a readable one allows.
        if !is_needed && !self.context.residency().depends_on_country() {
            return Ok(Subject::Unknown);
        }
        match self.context.on_unknown {
            OnUnknownSubject::Deny => Err(Reason::SubjectUnknown),
            OnUnknownSubject::Strictest => Ok(Subject::Strictest),
            OnUnknownSubject::EntryRegion => {
                let entry = self.request.entry.unwrap_or(self.policy.here());
                let country = self.policy.jurisdiction(entry).ok_or(Reason::SubjectUnknown)?;
                Ok(Subject::Of(Countries::of(country)))
            }
        }
    }

    /// Whether the rules let the request go on, and whether it is served here although its data may
    /// not be here whole.
    fn residency(
        &self,
        cell: &ResidencyCell,
        subject: Subject,
        decision: &mut Decision<'p>,
    ) -> Result<bool, Reason> {
        let (situation, here) = (self.state.situation, self.policy.here());
        let permitted = cell.permitted(situation);
        let is_here = permitted.contains(here);
        let excluded = cell.excluded(situation).filter(|_| !is_here);
        if let Some(excluded) = excluded {
            decision.rule = excluded.rule().and_then(|rule| self.policy.rule_name(rule));
        }
        let otherwise = excluded.map(|excluded| excluded.otherwise);
        if let (Some(Otherwise::Redact), Some(excluded)) = (otherwise, excluded) {
            if self.effect == Effect::Write {
                return Err(self.denied(cell, decision));
            }
            if self.request.kind != RequestKind::Plain {
                // What streams and gRPC carry cannot be redacted.
                return Err(Reason::RedactionImpossible);
            }
            decision.redact = excluded.profiles;
            return Ok(true);
        }
        if !self.policy.role().routes() {
            return match is_here {
                true => Ok(false),
                // The sender knows of a situation that has not reached this region yet, or the
                // other way round: that passes.
                false if cell.ever_permitted().contains(here) => Err(Reason::HomeUnavailable),
                false if otherwise == Some(Otherwise::Hold) => Err(Reason::HomeUnavailable),
                false => Err(self.denied(cell, decision)),
            };
        }
        match otherwise {
            Some(Otherwise::Deny) => return Err(self.denied(cell, decision)),
            Some(Otherwise::Hold) => return Err(Reason::HomeUnavailable),
            Some(Otherwise::Route | Otherwise::Redact) | None => {}
        }
        if permitted.is_empty() {
            let is_conflict = matches!(subject, Subject::Of(countries) if countries.is_conflict());
            return Err(match is_conflict {
                true => Reason::SubjectConflict,
                false => self.denied(cell, decision),
            });
        }
        // Decided before fencing: without a region for the data, the lease does not matter.
        if permitted.and(self.state.up).is_empty() {
            return Err(Reason::HomeUnavailable);
        }
        Ok(false)
    }

    /// A refusal by a rule: by a statute, if the rule that says so names whoever enforces it.
    fn denied(&self, cell: &ResidencyCell, decision: &mut Decision<'p>) -> Reason {
        let excluded = cell.excluded(self.state.situation);
        decision.blocked_by =
            excluded.and_then(|excluded| self.policy.blocked_by(excluded.rule()?));
        match decision.blocked_by {
            Some(_) => Reason::ResidencyDeniedByLaw,
            None => Reason::ResidencyDenied,
        }
    }

    /// The lease that the request needs, as far as this region knows it.
    fn held(
        &self,
        lease: &LeaseRef,
        standing: Option<usize>,
        subject: Subject,
        trace: &mut impl Trace<'p>,
    ) -> Result<(Fence<'p>, &'p LeaseSpec), Reason> {
        let keyless = self.request.idempotency_key == IdempotencyKey::Absent;
        if self.effect == Effect::Write
            && self.context.idempotency_key == IdempotencyRule::Require
            && matches!(self.method, Method::Post | Method::Patch)
            && keyless
        {
            return Err(Reason::IdempotencyKeyMissing);
        }
        if standing.is_none() && matches!(lease.shard, ShardSource::Residency(_)) {
            // Data of two groups, or of nobody known, belongs to the lease of none.
            let is_conflict = matches!(subject, Subject::Of(_));
            return Err(if is_conflict { Reason::SubjectConflict } else { Reason::SubjectUnknown });
        }
        let shard = self.shard(lease, standing);
        let spec = self.policy.leases().get(lease.lease).ok_or(Reason::LeaseUnknown)?;
        let name = shard.and_then(|shard| spec.shards.get(shard)).map(|shard| &shard.name);
        let view = shard.map_or(LeaseView::Unknown, |shard| self.state.lease(lease.lease, shard));
        trace.see(Step::Lease { lease: spec, shard: name.and_then(Option::as_deref), view });
        let held = match view {
            LeaseView::Held(held) => held,
            LeaseView::Unknown => return Err(Reason::LeaseUnknown),
            LeaseView::Vacant => return Err(Reason::LeaseVacant),
            LeaseView::Draining => return Err(Reason::LeaseDraining),
            LeaseView::Frozen => return Err(Reason::LeaseFrozen),
        };
        let fence = Fence {
            lease: &spec.name,
            shard: name.and_then(Option::as_deref),
            holder: held.holder,
            epoch: held.epoch,
        };
        Ok((fence, spec))
    }

    /// The write rule: the holder may have the data and can be reached.
    fn send(&self, fence: &Fence<'p>, cell: &ResidencyCell) -> Result<(), Reason> {
        if !cell.permitted(self.state.situation).contains(fence.holder) {
            return Err(Reason::HolderNotPermitted);
        }
        if !self.state.up.contains(fence.holder) {
            return Err(Reason::HolderUnreachable);
        }
        Ok(())
    }

    /// The receiving rule: this region holds the lease, and a write brings its token.
    fn receive(&self, fence: &Fence<'p>, is_write: bool) -> Result<(), Reason> {
        let here = self.policy.here();
        if fence.holder != here {
            return Err(Reason::WrongRegion);
        }
        if !is_write {
            return Ok(());
        }
        // A token of another lease says nothing about this one.
        let token = self.request.token.ok_or(Reason::FenceMissing)?;
        if token.lease != fence.lease || token.shard != fence.shard {
            return Err(Reason::FenceMissing);
        }
        if token.holder != self.policy.region_name(here) {
            return Err(Reason::WrongRegion);
        }
        match token.epoch.cmp(&fence.epoch) {
            Ordering::Less => Err(Reason::FenceStale),
            Ordering::Greater => Err(Reason::FenceAhead),
            Ordering::Equal => Ok(()),
        }
    }

    fn shard(&self, lease: &LeaseRef, standing: Option<usize>) -> Option<usize> {
        match &lease.shard {
            ShardSource::Whole => self.policy.find_shard(lease.lease, None),
            ShardSource::Residency(of_cell) => of_cell.get(standing?).copied().flatten(),
            ShardSource::Path => {
                let segment = self.request.path.segments().nth(self.found.shard_segment?)?;
                self.policy.find_shard(lease.lease, Some(core::str::from_utf8(segment).ok()?))
            }
        }
    }

    /// Here if allowed and up, else home, else the best rank; a fallback only when no region of
    /// the rules themselves is up. Home comes first where the policy steers there.
    fn route(&self, cell: &ResidencyCell, trace: &mut impl Trace<'p>) -> Result<Course, Reason> {
        let own = cell.base(self.state.situation).and(self.state.up);
        let candidates = if own.is_empty() {
            cell.fallback(self.state.situation).and(self.state.up)
        } else {
            own
        };
        let here = self.policy.here();
        let home = cell.home.filter(|home| candidates.contains(*home));
        trace.see(Step::Candidates { regions: candidates, home });
        let steers = self.policy.steers_home() && self.context.lease.is_none();
        // Where nobody says whose data it is, the client's country is a hint good enough for this: it
        // chooses among regions that are allowed.
        let nearest = || self.policy.home(self.request.client_country?);
        let home_or_nearest = if cell.home.is_some() {
            home
        } else {
            nearest().filter(|region| candidates.contains(*region))
        };
        if let Some(home) = home_or_nearest.filter(|home| steers && *home != here) {
            return Ok(Course { region: home, steered: candidates.contains(here) });
        }
        let region = best(candidates, here, home).ok_or(Reason::HomeUnavailable)?;
        Ok(Course { region, steered: false })
    }
}

fn best(candidates: RegionSet, here: RegionId, home: Option<RegionId>) -> Option<RegionId> {
    if candidates.contains(here) {
        return Some(here);
    }
    home.or_else(|| candidates.best())
}

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

use crate::caller::{Caller, Evidence, Identity};
use crate::country::Country;
use crate::deadline::Deadline;
use crate::lease::{LeaseView, RegionState};
use crate::path::CanonicalPath;
use crate::policy::{Context, LeaseRef, LeaseSpec, Match, Policy, ShardSource};
use crate::reason::{Reason, Verdict};
use crate::redaction::ProfileSet;
use crate::region::{RegionId, RegionSet};
use crate::residency::{ResidencyCell, Subject};
use crate::trace::{Step, Trace};
use crate::vocabulary::{Effect, IdempotencyRule, Method, Mode, PrincipalKind, Reads, SubjectMode};
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
    /// What it does, once that is known.
    pub effect: Option<Effect>,
    /// Where its subject resides.
    pub country: Option<Country>,
    /// The narrowest residency rule that applied.
    pub rule: Option<&'p str>,
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
            effect: None,
            country: None,
            rule: None,
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
    trace.see(Step::Classified { found, context, effect });
    let mut decision = Decision {
        context: Some(context),
        effect: Some(effect),
        ..Decision::early(Reason::Unmatched)
    };
    let judged = Judgement { policy, state, request, method, found, context, effect };
    match judged.run(&mut decision, evidence, trace) {
        Ok(region) => {
            decision.reason = match (region == policy.here(), decision.leased) {
                (true, _) => Reason::Allowed,
                (false, true) => Reason::RoutedHolder,
                (false, false) => Reason::RoutedResidency,
            };
            decision.region = Some(region);
            decision.stamped = policy.role().routes()
                && decision.is_eventual_write()
                && policy.versioning().mode == Mode::Enforce;
        }
        Err(reason) => {
            decision.reason = reason;
            decision.fence = None;
        }
    }
    decision.status = decision.reason.status();
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
}

impl<'p> Judgement<'p, '_> {
    /// The region where the request runs.
    fn run(
        &self,
        decision: &mut Decision<'p>,
        evidence: &mut impl Evidence,
        trace: &mut impl Trace<'p>,
    ) -> Result<RegionId, Reason> {
        if let Some(deadline) = self.request.deadline {
            let left = deadline.remaining_ms();
            trace.see(Step::Deadline { left });
            decision.remaining_ms = Some(left.ok_or(Reason::Deadline)?);
        }
        let subject = self.subject(evidence, trace)?;
        if let Subject::Of(country) = subject {
            decision.country = Some(country);
        }
        let (cell, cell_number) = self.context.residency(subject);
        decision.rule = cell.rule().and_then(|rule| self.policy.rule_name(rule));
        trace.see(Step::Residency { cell: *cell, rule: decision.rule });
        self.residency(cell)?;
        let arrives = !self.policy.role().routes();
        if let Some(lease) = &self.context.lease {
            if self.request.kind == RequestKind::Stream {
                return Err(Reason::StreamRefused);
            }
            let is_write = self.effect == Effect::Write;
            if is_write || self.context.reads == Reads::Holder {
                decision.leased = true;
                let (fence, spec) = self.held(lease, cell_number, trace)?;
                decision.held = Some(fence);
                if arrives {
                    self.receive(&fence, is_write)?;
                } else {
                    self.send(&fence, cell)?;
                }
                trace.see(Step::Held { lease: spec, fence });
                decision.fence = is_write.then_some(fence);
                return Ok(fence.holder);
            }
        }
        if arrives { Ok(self.policy.here()) } else { self.route(cell, trace) }
    }

    /// Whom the request is about.
    fn subject(
        &self,
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
        let default = self.context.default_for(&caller);
        let about = match caller {
            Caller::Unreadable => Err(Reason::HostFailure),
            // Whoever shows a session that is over has to be told where that matters.
            Caller::Refused if is_needed || self.context.depends_on_country() => {
                Err(Reason::CredentialsMissing)
            }
            Caller::Refused => Ok(Subject::Unknown),
            Caller::Known(Identity { kind, countries, .. }) => {
                let is_customer = kind == PrincipalKind::Customer;
                match countries.first().or(default) {
                    Some(country) => Ok(Subject::Of(country)),
                    // Whoever has a country has to say which where that makes a difference: an
                    // unreadable claim must not widen what a readable one allows.
                    None if is_customer && (is_needed || self.context.depends_on_country()) => {
                        Err(Reason::SubjectUnknown)
                    }
                    None if is_needed => Err(Reason::SubjectUnproven),
                    None => Ok(Subject::Unknown),
                }
            }
            Caller::Anonymous if is_needed => Err(Reason::CredentialsMissing),
            Caller::Anonymous => Ok(default.map_or(Subject::Unknown, Subject::Of)),
        };
        trace.see(Step::Subject { mode, caller: Some(caller), about });
        about
    }

    fn residency(&self, cell: &ResidencyCell) -> Result<(), Reason> {
        let (situation, here) = (self.state.situation, self.policy.here());
        let permitted = cell.permitted(situation);
        if !self.policy.role().routes() {
            return match permitted.contains(here) {
                true => Ok(()),
                // The sender knows of a situation that has not reached this region yet, or the
                // other way round: that passes.
                false if cell.ever_permitted().contains(here) => Err(Reason::HomeUnavailable),
                false => Err(Reason::ResidencyDenied),
            };
        }
        if permitted.is_empty() || cell.refused_in(situation).contains(here) {
            return Err(Reason::ResidencyDenied);
        }
        // Decided before fencing: without a region for the data, the lease does not matter.
        if permitted.and(self.state.up).is_empty() {
            return Err(Reason::HomeUnavailable);
        }
        Ok(())
    }

    /// The lease that the request needs, as far as this region knows it.
    fn held(
        &self,
        lease: &LeaseRef,
        cell_number: Option<usize>,
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
        let shard = self.shard(lease, cell_number);
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

    fn shard(&self, lease: &LeaseRef, cell_number: Option<usize>) -> Option<usize> {
        match &lease.shard {
            ShardSource::Whole => self.policy.find_shard(lease.lease, None),
            ShardSource::Residency(of_cell) => of_cell.get(cell_number?).copied().flatten(),
            ShardSource::Path => {
                let segment = self.request.path.segments().nth(self.found.shard_segment?)?;
                self.policy.find_shard(lease.lease, Some(core::str::from_utf8(segment).ok()?))
            }
        }
    }

    /// Here if allowed and up, else home, else the best rank; a fallback only when no region of
    /// the rules themselves is up.
    fn route(&self, cell: &ResidencyCell, trace: &mut impl Trace<'p>) -> Result<RegionId, Reason> {
        let own = cell.base.and(self.state.up);
        let candidates = if own.is_empty() {
            cell.fallback(self.state.situation).and(self.state.up)
        } else {
            own
        };
        let here = self.policy.here();
        let home = cell.home.filter(|home| candidates.contains(*home));
        trace.see(Step::Candidates { regions: candidates, home });
        match best(candidates, here, home) {
            Some(region) => Ok(region),
            None => Err(Reason::HomeUnavailable),
        }
    }
}

fn best(candidates: RegionSet, here: RegionId, home: Option<RegionId>) -> Option<RegionId> {
    if candidates.contains(here) {
        return Some(here);
    }
    home.or_else(|| candidates.best())
}

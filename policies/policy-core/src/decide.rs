//! The one decision: steps 3 to 7 of a request.
//!
//! ```text
//! classify ──► deadline ──► residency ──► fencing ──► route
//!    │            │             │            │          │
//!    └────────────┴─── the first refusal ends it ───────┘
//! ```

use crate::country::Country;
use crate::deadline::Deadline;
use crate::lease::{LeaseView, RegionState};
use crate::path::CanonicalPath;
use crate::policy::{Context, LeaseRef, Match, Policy, ShardSource, SubjectSource};
use crate::reason::Reason;
use crate::region::{RegionId, RegionSet};
use crate::residency::ResidencyCell;
use crate::vocabulary::{Effect, IdempotencyRule, Method, Mode, Reads, SubjectMode};
use core::fmt;

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

/// Who sent a request, as far as verified credentials tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// There are no verified credentials.
    Anonymous,
    /// A customer, and where they reside if the credentials say so.
    Customer(Option<Country>),
    /// Staff, a service: not the person the data is about.
    Other,
}

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It runs here.
    Allow,
    /// It runs in another region.
    Route,
    /// It may not run.
    Deny,
    /// It may not run now.
    Hold,
    /// It is not important enough to run now.
    Shed,
}

impl Verdict {
    /// The word in metrics, logs and tests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Route => "route",
            Self::Deny => "deny",
            Self::Hold => "hold",
            Self::Shed => "shed",
        }
    }

    /// Whether the request goes on.
    pub const fn is_pass(self) -> bool {
        matches!(self, Self::Allow | Self::Route)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is done with a request, why, and what follows from it.
#[derive(Debug, Clone)]
pub struct Decision<'p> {
    /// What is done.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The HTTP status of a refusal; 200 for a pass.
    pub status: u16,
    /// The part of the request that is malformed, for that reason.
    pub malformed: Option<&'static str>,
    /// The context it belongs to.
    pub context: Option<&'p Context>,
    /// What it does.
    pub effect: Effect,
    /// Where its subject resides.
    pub country: Option<Country>,
    /// The narrowest residency rule that applied.
    pub rule: Option<&'p str>,
    /// Where it runs.
    pub region: Option<RegionId>,
    /// The token of a leased write.
    pub fence: Option<Fence<'p>>,
    /// Whether it depends on a lease, so that an unreachable region means an unreachable holder.
    pub leased: bool,
    /// Whether it is an eventual write, to be stamped.
    pub stamped: bool,
    /// What is left of the caller's deadline for the next hop.
    pub remaining_ms: Option<u64>,
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
    /// A refusal before anything is known of the request.
    pub fn refusal(verdict: Verdict, reason: Reason) -> Self {
        Self {
            verdict,
            reason,
            status: reason.status(),
            malformed: None,
            context: None,
            effect: Effect::Read,
            country: None,
            rule: None,
            region: None,
            fence: None,
            leased: false,
            stamped: false,
            remaining_ms: None,
        }
    }

    /// A refusal of a request of which this part is malformed.
    pub fn malformed(part: &'static str) -> Self {
        Self { malformed: Some(part), ..Self::refusal(Verdict::Deny, Reason::Malformed) }
    }
}

/// Decides a request. `caller` is asked at most once, and only where the answer depends on it.
pub fn decide<'p>(
    policy: &'p Policy,
    state: &RegionState,
    request: &Request<'_>,
    caller: impl FnOnce(&SubjectSource) -> Caller,
) -> Decision<'p> {
    let Some(method) = Method::from_bytes(request.method) else {
        return Decision::malformed(":method");
    };
    if let Some(reason) = needs_no_policy(policy, request, method) {
        return Decision {
            region: Some(policy.here()),
            ..Decision::refusal(Verdict::Allow, reason)
        };
    }
    let Some((found, context)) = classify(policy, request, method) else {
        let status = policy.unmatched_status();
        return Decision { status, ..Decision::refusal(Verdict::Deny, Reason::Unmatched) };
    };
    let effect = found.effect.unwrap_or(method.effect());
    let mut decision = Decision {
        context: Some(context),
        effect,
        ..Decision::refusal(Verdict::Deny, Reason::Unmatched)
    };
    let judged = Judgement { policy, state, request, method, found, context, effect };
    match judged.run(&mut decision, caller) {
        Ok(region) => {
            let here = region == policy.here();
            decision.verdict = if here { Verdict::Allow } else { Verdict::Route };
            decision.reason = match (here, decision.leased) {
                (true, _) => Reason::Allowed,
                (false, true) => Reason::RoutedHolder,
                (false, false) => Reason::RoutedResidency,
            };
            decision.region = Some(region);
            decision.stamped = effect == Effect::Write
                && context.lease.is_none()
                && policy.versioning().mode == Mode::Enforce;
        }
        Err(Refusal { verdict, reason }) => {
            decision.verdict = verdict;
            decision.reason = reason;
            decision.fence = None;
        }
    }
    decision.status = decision.reason.status();
    decision
}

/// Health paths and CORS preflights are answered whatever the policy says.
fn needs_no_policy(policy: &Policy, request: &Request<'_>, method: Method) -> Option<Reason> {
    let is_probe = matches!(method, Method::Get | Method::Head);
    if is_probe && policy.is_health_path(request.path) {
        return Some(Reason::HealthCheck);
    }
    (request.kind == RequestKind::Preflight && policy.knows_host(request.host))
        .then_some(Reason::Preflight)
}

fn classify<'p>(
    policy: &'p Policy,
    request: &Request<'_>,
    method: Method,
) -> Option<(&'p Match, &'p Context)> {
    if !policy.knows_host(request.host) {
        return None;
    }
    policy.find_match(request.path, method)
}

struct Refusal {
    verdict: Verdict,
    reason: Reason,
}

fn deny<T>(reason: Reason) -> Result<T, Refusal> {
    Err(Refusal { verdict: Verdict::Deny, reason })
}

fn hold<T>(reason: Reason) -> Result<T, Refusal> {
    Err(Refusal { verdict: Verdict::Hold, reason })
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
        caller: impl FnOnce(&SubjectSource) -> Caller,
    ) -> Result<RegionId, Refusal> {
        if let Some(deadline) = self.request.deadline {
            match deadline.remaining_ms() {
                Some(left) => decision.remaining_ms = Some(left),
                None => return deny(Reason::Deadline),
            }
        }
        let country = self.subject(caller)?;
        decision.country = country;
        let (cell, cell_number) = self.context.residency(country);
        decision.rule = cell.rule().and_then(|rule| self.policy.rule_name(rule));
        self.residency(cell)?;
        if let Some(lease) = &self.context.lease
            && self.policy.fencing() == Mode::Enforce
        {
            if self.request.kind == RequestKind::Stream {
                return deny(Reason::StreamRefused);
            }
            let is_write = self.effect == Effect::Write;
            if is_write || self.context.reads == Reads::Holder {
                decision.leased = true;
                let fence = self.fence(lease, cell, cell_number)?;
                decision.fence = is_write.then_some(fence);
                return Ok(fence.holder);
            }
        }
        self.route(cell)
    }

    /// Where the subject resides; nothing when the request is about nobody.
    fn subject(
        &self,
        caller: impl FnOnce(&SubjectSource) -> Caller,
    ) -> Result<Option<Country>, Refusal> {
        let ask = || self.policy.subject_source().map_or(Caller::Anonymous, caller);
        match self.context.subject {
            SubjectMode::None => Ok(None),
            SubjectMode::SelfCaller => match ask() {
                Caller::Anonymous => deny(Reason::CredentialsMissing),
                Caller::Other => deny(Reason::SubjectUnproven),
                Caller::Customer(None) => deny(Reason::SubjectUnknown),
                Caller::Customer(country) => Ok(country),
            },
            SubjectMode::Optional => match ask() {
                Caller::Customer(country) => Ok(country),
                Caller::Anonymous | Caller::Other => Ok(None),
            },
        }
    }

    fn residency(&self, cell: &ResidencyCell) -> Result<(), Refusal> {
        let situation = self.state.situation;
        let permitted = cell.permitted(situation);
        if permitted.is_empty() || cell.refused_in(situation).contains(self.policy.here()) {
            return deny(Reason::ResidencyDenied);
        }
        // Decided before fencing: without a region for the data, the lease does not matter.
        if permitted.and(self.state.up).is_empty() {
            return hold(Reason::HomeUnavailable);
        }
        Ok(())
    }

    fn fence(
        &self,
        lease: &LeaseRef,
        cell: &ResidencyCell,
        cell_number: Option<usize>,
    ) -> Result<Fence<'p>, Refusal> {
        let keyless = self.request.idempotency_key == IdempotencyKey::Absent;
        if self.effect == Effect::Write
            && self.context.idempotency_key == IdempotencyRule::Require
            && matches!(self.method, Method::Post | Method::Patch)
            && keyless
        {
            return deny(Reason::IdempotencyKeyMissing);
        }
        let Some(shard) = self.shard(lease, cell_number) else {
            return hold(Reason::LeaseUnknown);
        };
        let held = match self.state.lease(lease.lease, shard) {
            LeaseView::Held(held) => held,
            LeaseView::Unknown => return hold(Reason::LeaseUnknown),
            LeaseView::Vacant => return hold(Reason::LeaseVacant),
            LeaseView::Draining => return hold(Reason::LeaseDraining),
            LeaseView::Frozen => return hold(Reason::LeaseFrozen),
        };
        if !cell.permitted(self.state.situation).contains(held.holder) {
            return hold(Reason::HolderNotPermitted);
        }
        if !self.state.up.contains(held.holder) {
            return hold(Reason::HolderUnreachable);
        }
        let Some(spec) = self.policy.leases().get(lease.lease) else {
            return hold(Reason::LeaseUnknown);
        };
        Ok(Fence {
            lease: &spec.name,
            shard: spec.shards.get(shard).and_then(|shard| shard.name.as_deref()),
            holder: held.holder,
            epoch: held.epoch,
        })
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
    fn route(&self, cell: &ResidencyCell) -> Result<RegionId, Refusal> {
        let own = cell.base.and(self.state.up);
        let candidates = if own.is_empty() {
            cell.fallback(self.state.situation).and(self.state.up)
        } else {
            own
        };
        let here = self.policy.here();
        let home = cell.home.filter(|home| candidates.contains(*home));
        match best(candidates, here, home) {
            Some(region) => Ok(region),
            None => hold(Reason::HomeUnavailable),
        }
    }
}

fn best(candidates: RegionSet, here: RegionId, home: Option<RegionId>) -> Option<RegionId> {
    if candidates.contains(here) {
        return Some(here);
    }
    home.or_else(|| candidates.best())
}

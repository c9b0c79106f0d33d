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

mod fencing;
mod merge;
mod residency;
mod route;
mod subject;

use crate::caller::{BasisSet, Evidence, Pseudonym};
use crate::deadline::Deadline;
use crate::decision::{Decision, Shadowed};
use crate::lease::LeaseView;
use crate::moment::Moment;
use crate::policy::{Context, Match, Policy};
use crate::reason::Reason;
use crate::redaction::ProfileSet;
use crate::region::RegionId;
use crate::request::{Request, RequestKind};
use crate::residency::{Circumstances, Found, ResidencyCell, Subject};
use crate::response::Judged;
use crate::state::RegionState;
use crate::trace::{Step, Trace};
use crate::vocabulary::{Effect, IdempotencyRule, Method, Mode, Operation, PrincipalKind, Reads};

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
    decision.merge = judged.merging(&decision, evidence, trace);
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

/// What the rules say of a request.
#[derive(Clone, Copy)]
struct Ruling<'r> {
    /// As they are in force, or as they would be if none were in shadow.
    cell: ResidencyCell,
    found: &'r Found,
    subject: Subject,
}

/// Where a request runs.
#[derive(Debug, Clone, Copy)]
struct Course {
    region: RegionId,
    /// Why there, where that is elsewhere and not by a lease.
    why: Reason,
}

impl<'p> Judgement<'p, '_> {
    fn run(
        &self,
        decision: &mut Decision<'p>,
        evidence: &mut impl Evidence,
        trace: &mut impl Trace<'p>,
    ) -> Result<(), Reason> {
        if let Some(deadline) = self.deadline() {
            let least = self.context.deadline.min_ms.map_or(0, u64::from);
            let left = deadline.remaining_ms().filter(|left| *left >= least);
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
        let mut now = || evidence.unix_s().map(Moment);
        let table = self.context.residency();
        // Nobody can tell which rules are in force at a time that nobody can tell.
        let found = table.find(subject, &mut circumstances, &mut now).ok_or(Reason::HostFailure)?;
        decision.judged = Some(Judged {
            context: self.found.context,
            subject,
            is_known: subject == Subject::Nobody || decision.countries.first().is_some(),
            circumstances,
            ran_in: None,
        });
        decision.exception_lapsed = found.cell.has_lapsed(self.state.situation);
        let mut meant = found.shadow.map(|cell| (cell, decision.clone()));
        let ruling = |cell| Ruling { cell, found: &found, subject };
        let came = self.settle(ruling(found.cell), decision, evidence, trace);
        if let Some((cell, would)) = &mut meant {
            let would_come = self.settle(ruling(*cell), would, evidence, &mut ());
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

    /// How long the request may take: what its caller says or what its context does, whichever is
    /// less. A stream takes as long as it likes.
    fn deadline(&self) -> Option<Deadline> {
        let is_stream = self.request.kind == RequestKind::Stream;
        let max_ms = self.context.deadline.max_ms.filter(|_| !is_stream);
        let own = max_ms.map(|ms| Deadline::from_ms(ms.into()));
        self.request.deadline.into_iter().chain(own).min()
    }

    /// Writes down what came of it.
    fn take_course(&self, decision: &mut Decision<'p>, course: Result<Course, Reason>) {
        let here = self.policy.here();
        match course {
            Ok(Course { region, why }) => {
                decision.region = Some(region);
                decision.reason = match (region == here, decision.leased) {
                    (true, _) if !decision.redact.is_empty() => Reason::Redacted,
                    (true, _) => Reason::Allowed,
                    (false, true) => Reason::RoutedHolder,
                    (false, false) => why,
                };
            }
            Err(reason) => {
                decision.reason = reason;
                decision.redact = ProfileSet::EMPTY;
                decision.exception = None;
                decision.fence = None;
                decision.keyless = false;
                decision.moved = false;
                decision.stale = false;
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
        let passes = decision.verdict().is_pass();
        if let Some(judged) = &mut decision.judged {
            judged.ran_in = decision.region.filter(|_| passes);
        }
        // Whom an exception would not have helped it makes no difference to.
        decision.exception_lapsed &= !passes;
    }

    /// Steps 5 to 7 by what the rules say: where the request runs.
    fn settle(
        &self,
        ruling: Ruling<'_>,
        decision: &mut Decision<'p>,
        evidence: &mut impl Evidence,
        trace: &mut impl Trace<'p>,
    ) -> Result<Course, Reason> {
        let Ruling { cell, found, subject } = &ruling;
        let situation = self.state.situation;
        self.go_by(cell.rule(situation), decision);
        if let Some(judged) = decision.judged {
            trace.see(Step::Residency {
                cell: *cell,
                rule: decision.rule,
                shadow: found.shadow,
                circumstances: judged.circumstances,
            });
        }
        let served_here = self.residency(cell, *subject, decision)?;
        let course = self.place(&ruling, decision, served_here, evidence, trace)?;
        decision.stale = course.region == self.policy.here()
            && !decision.leased
            && self.is_behind(&ruling, evidence);
        decision.exception = cell
            .exception(course.region, situation)
            .and_then(|exception| self.policy.exception_name(exception));
        Ok(course)
    }

    /// Names the rule that decides, and what that rests on.
    fn go_by(&self, rule: Option<usize>, decision: &mut Decision<'p>) {
        decision.rule = rule.and_then(|rule| self.policy.rule_name(rule));
        decision.basis = rule.and_then(|rule| self.policy.basis_of_rule(rule));
    }

    /// Where it runs of those regions that it may run in.
    fn place(
        &self,
        ruling: &Ruling<'_>,
        decision: &mut Decision<'p>,
        served_here: bool,
        evidence: &mut impl Evidence,
        trace: &mut impl Trace<'p>,
    ) -> Result<Course, Reason> {
        let cell = &ruling.cell;
        let arrives = !self.policy.role().routes();
        let here = self.policy.here();
        if let Some(lease) = &self.context.lease {
            if self.request.kind == RequestKind::Stream {
                return Err(Reason::StreamRefused);
            }
            let is_write = self.effect == Effect::Write;
            if is_write || self.context.reads == Reads::Holder {
                decision.leased = true;
                let (fence, spec) = self.held(lease, ruling, evidence, trace)?;
                decision.held = Some(fence);
                if arrives {
                    self.receive(&fence, is_write)?;
                } else {
                    self.send(&fence, cell)?;
                }
                trace.see(Step::Held { lease: spec, fence });
                decision.fence = is_write.then_some(fence);
                decision.keyless =
                    self.is_keyless() && self.context.idempotency_key == IdempotencyRule::Warn;
                return Ok(Course { region: fence.holder, why: Reason::RoutedHolder });
            }
        }
        if arrives || served_here {
            return Ok(Course { region: here, why: Reason::Allowed });
        }
        self.route(cell, decision, trace)
    }

    /// Whether it is a read that a copy here is too far behind for, or may be. Where this region
    /// holds the lease of what is read, nothing is ahead of it.
    fn is_behind(&self, ruling: &Ruling<'_>, evidence: &mut impl Evidence) -> bool {
        let Some(max_lag_ms) = self.context.max_lag_ms else { return false };
        let here = self.policy.here();
        if self.effect != Effect::Read || !self.state.fresh(here.into(), max_lag_ms).is_empty() {
            return false;
        }
        let is_held_here = |lease| {
            let (_, _, view) = self.view(lease, ruling.found.standing, evidence)?;
            Some(matches!(view, LeaseView::Held(held) if held.holder == here))
        };
        !self.context.lease.as_ref().and_then(is_held_here).unwrap_or(false)
    }
}

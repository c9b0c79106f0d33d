//! Whether a request that runs here is let in (step 8), and the place that it takes if so.
//!
//! On the path of a request nothing is shared with other workers, and a pool of a fixed limit asks the
//! proxy for nothing.

use crate::facts::Facts;
use crate::guard::InForce;
use crate::header;
use crate::host::{Headers, Host};
use crate::shedding;
use crate::sources::Asked;
use crate::stream::{DecisionId, Worker};
use crate::trust::Sender;
use crate::upstream;
use load_shed::{Ask, COHORTS, Caller, Outcome, Refused, Slot};
use policy_core::{
    Baseline, CohortSource, Context, Decision, Effect, IdempotencyKey, Method, Policy, Pool,
    Priority, Pseudonym, Reason, SheddingMode, Verdict,
};

/// A request that would run here and has to be let in.
#[derive(Debug)]
pub(crate) struct Wish {
    pool: usize,
    ask: Ask,
    /// The monotonic time, where the pool goes by it.
    now_us: Option<u64>,
    /// Whether it does no harm if it runs twice.
    is_repeatable: bool,
}

/// Why it is not let in, and what is told of that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shed {
    pub(crate) reason: Reason,
    pub(crate) priority: Priority,
    /// When to come again, where there is a point in that.
    pub(crate) retry_after_s: Option<u32>,
}

/// What a request is let in with.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    pub(crate) place: Option<Place>,
    /// How much the application should leave out: 0 to 4.
    pub(crate) degrade: u8,
}

/// A place in a pool. It is given back when this is dropped, however the stream has ended, and says
/// how it went as far as that was seen.
#[derive(Debug)]
pub(crate) struct Place {
    slot: Option<Slot>,
    pool: usize,
    /// When it was taken, by the monotonic clock, where the pool goes by it.
    since_us: Option<u64>,
    outcome: Outcome,
}

/// A request, as far as it matters for who is let in first.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) force: &'a InForce,
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) headers: &'a Headers,
    pub(crate) sender: Sender,
    pub(crate) id: DecisionId,
}

impl Asking<'_> {
    /// What it has to ask for; nothing where it does not run here, or is counted elsewhere or nowhere.
    pub(crate) fn wish<H: Host>(
        &self,
        decision: &Decision<'_>,
        evidence: &mut Asked<'_, H>,
        worker: &Worker,
    ) -> Option<Wish> {
        let policy = &self.force.policy;
        let runs_here = matches!(decision.verdict(), Verdict::Allow | Verdict::Redact);
        if !runs_here || policy.shedding() == SheddingMode::Disabled {
            return None;
        }
        let context = decision.context?;
        let pool = context.pool?;
        let is_fixed = policy.pools().get(pool).is_none_or(is_fixed);
        // A clock that cannot be read must not cost anybody anything.
        let now_us = if is_fixed { None } else { Some(evidence.monotonic_us()?) };
        let ask = Ask {
            priority: priority(policy, context, self.headers),
            cohort: now_us.map_or(0, |now_us| self.cohort(evidence, worker, now_us / 1_000)),
            is_retry: self.is_retry(),
            time_left_ms: decision.remaining_ms.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX)),
        };
        let is_repeatable = self.facts.idempotency_key == IdempotencyKey::Present
            || decision.effect == Some(Effect::Read)
            || Method::from_bytes(self.facts.method).is_some_and(Method::is_idempotent);
        Some(Wish { pool, ask, now_us, is_repeatable })
    }

    /// The cohort of its caller for this hour.
    fn cohort<H: Host>(&self, evidence: &mut Asked<'_, H>, worker: &Worker, now_ms: u64) -> u8 {
        let policy = &self.force.policy;
        let salt = shedding::salt(self.force, self.id.vm());
        let wall_s = worker.shedding.wall_s(now_ms);
        for source in policy.cohort() {
            match source {
                CohortSource::JwtSubject => {
                    if let Some(Pseudonym(subject)) = evidence.pseudonym(policy) {
                        return load_shed::cohort(&salt, Caller::Subject(&subject), wall_s);
                    }
                }
                // Behind another proxy every address is that proxy's.
                CohortSource::ClientAddress if !self.sender.is_trusted() => {
                    if let Some(address) = evidence.client_address() {
                        return load_shed::cohort(&salt, Caller::Address(address), wall_s);
                    }
                }
                CohortSource::ClientAddress => {}
            }
        }
        // Of whom nothing is known each request stands for itself.
        let [drawn, ..] = self.id.spread().to_le_bytes();
        drawn % COHORTS
    }

    /// Whether it says that it is not the first of its kind: a proxy before this one, or a gRPC client
    /// (gRFC A6), which gains nothing by it.
    fn is_retry(&self) -> bool {
        let over = |name: &str, first: u32| {
            let value = self.headers.first(name.as_bytes());
            let number = value.and_then(|value| core::str::from_utf8(value).ok()?.parse().ok());
            number.is_some_and(|number: u32| number > first)
        };
        self.sender.is_trusted() && over(header::ENVOY_ATTEMPT_COUNT, 1)
            || over(header::GRPC_ATTEMPTS, 0)
    }
}

/// How important a request is, by its context and by what it says of itself.
pub fn priority(policy: &Policy, context: &Context, headers: &Headers) -> Priority {
    let purpose = headers.only(header::SEC_PURPOSE.as_bytes()).unwrap_or_default();
    policy.priority(context, headers.all(header::PRIORITY.as_bytes()), purpose)
}

impl Wish {
    /// Lets the request in, or says why not.
    pub(crate) fn ask(
        &self,
        worker: &mut Worker,
        force: &InForce,
        id: DecisionId,
    ) -> Result<Admitted, Shed> {
        let Some(pools) = worker.shedding.pools(force) else { return Ok(Admitted::default()) };
        let ratio = pools.ratio(self.pool);
        let priority = self.ask.priority;
        let asked = if self.ask.is_retry && !self.is_repeatable && pools.sheds(self.pool) {
            Err(Refused::RetryBudget)
        } else {
            pools.admit(self.pool, self.ask, self.now_us.unwrap_or(0) / 1_000)
        };
        match asked {
            Ok(slot) => {
                let tells = force.policy.tells_brownout();
                let degrade = if tells { pools.brownout(self.pool) } else { 0 };
                let place = Place {
                    slot: Some(slot),
                    pool: self.pool,
                    since_us: self.now_us,
                    outcome: Outcome::Unknown,
                };
                Ok(Admitted { place: Some(place), degrade })
            }
            Err(refused) => {
                let reason = match refused {
                    Refused::Threshold => Reason::ShedThreshold,
                    Refused::RetryBudget => Reason::ShedRetry,
                    Refused::Guard => Reason::ShedGuard,
                    Refused::Deadline => Reason::Deadline,
                };
                // There is no point in coming again with what has no time.
                let retry_after_s = (refused != Refused::Deadline)
                    .then(|| load_shed::retry_after_s(priority, ratio, id.spread()));
                Err(Shed { reason, priority, retry_after_s })
            }
        }
    }
}

impl Place {
    /// The upstream has answered, or the proxy for it. The first answer counts.
    pub(crate) fn on_response(
        &mut self,
        headers: Option<&Headers>,
        force: &InForce,
        worker: &mut Worker,
        host: &mut impl Host,
    ) {
        let (Some(since_us), Outcome::Unknown) = (self.since_us, self.outcome) else { return };
        let (Some(headers), Some(now_us)) = (headers, host.monotonic_us()) else { return };
        self.outcome = upstream::outcome(headers, now_us.saturating_sub(since_us));
        if let Some(utilisation) = upstream::utilisation(headers)
            && let Some(pools) = worker.shedding.pools(force)
        {
            pools.signal(self.pool, utilisation);
        }
    }

    /// The request did not get to its upstream, or that broke off.
    pub(crate) fn fail(&mut self) {
        self.outcome = Outcome::Failed;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.finish(self.outcome);
        }
    }
}

/// Whether a pool goes by nothing that it would have to be told.
fn is_fixed(pool: &Pool) -> bool {
    pool.baseline == Baseline::Fixed
}

/// Whether this attachment lets in what its policy would shed, and only records it.
pub(crate) fn is_shadow(policy: &Policy) -> bool {
    policy.shedding() == SheddingMode::Shadow
}

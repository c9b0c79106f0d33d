//! How much is let in, compiled.

use super::compile::{fault, one_of};
use super::{Context, Policy};
use crate::vocabulary::{CohortSource, Mode, Priority, PriorityHeader, Role, SheddingMode};
use crate::wire::{Baseline, ConfigFault, Deadlines, LoadShedding, PolicyBody, Retries, Spill};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;
use core::ops::RangeInclusive;

const PATH: &str = "policy.loadShedding";

/// Requests that are counted together: in each worker where the limit is fixed, else in all of a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// `default`, or the context that has a pool of its own.
    pub name: Box<str>,
    /// How many may be in flight in a worker; where the limit follows a latency, in each at first.
    pub limit: u32,
    /// What the limit follows.
    pub baseline: Baseline,
}

/// How much is let in at one attachment.
#[derive(Debug, Clone)]
pub(super) struct Shedding {
    /// What this attachment does of it.
    mode: SheddingMode,
    status: u16,
    pools: Box<[Pool]>,
    cohort: Box<[CohortSource]>,
    retries: Retries,
    heeds_clients: bool,
    tells_upstreams: bool,
    spill: Option<Spill>,
}

impl Shedding {
    pub(super) fn compile(body: &PolicyBody, role: Role) -> Result<Self, ConfigFault> {
        let said = &body.load_shedding;
        let acts = said.mode == SheddingMode::Enforce;
        let pools = compile_pools(body)?;
        check_never_shed(body, &pools)?;
        Ok(Self {
            mode: if said.shed_at.is_at(role) { said.mode } else { SheddingMode::Disabled },
            status: one_of(said.status, [503, 429], &format!("{PATH}.status"))?,
            pools: pools.into(),
            cohort: compile_cohort(&said.cohort)?,
            retries: compile_retries(said.retries)?,
            heeds_clients: said.priority_header == PriorityHeader::Honour,
            tells_upstreams: acts && said.brownout == Mode::Enforce,
            spill: compile_spill(said.spill)?.filter(|_| acts),
        })
    }

    pub(super) fn pools(&self) -> &[Pool] {
        &self.pools
    }
}

impl Policy {
    /// What this attachment does of load shedding: nothing where requests are counted elsewhere.
    pub fn shedding(&self) -> SheddingMode {
        self.shedding.mode
    }

    /// The status of a shed request.
    pub fn shed_status(&self) -> u16 {
        self.shedding.status
    }

    /// The pools; the first is the default one.
    pub fn pools(&self) -> &[Pool] {
        &self.shedding.pools
    }

    /// What users of one priority are told apart by: the first of these that a request has, of at
    /// least one.
    pub fn cohort(&self) -> &[CohortSource] {
        &self.shedding.cohort
    }

    /// How many requests may be tries of others while there is more to do than can be done.
    pub fn retries(&self) -> Retries {
        self.shedding.retries
    }

    /// Whether a client may lower the priority of its own request.
    pub fn heeds_client_priority(&self) -> bool {
        self.shedding.heeds_clients
    }

    /// How important a request of a context is, which has these lines of `priority`, and this
    /// `sec-purpose`.
    pub fn priority<'v>(
        &self,
        context: &Context,
        priority: impl IntoIterator<Item = &'v [u8]>,
        sec_purpose: &[u8],
    ) -> Priority {
        let heeds = self.heeds_client_priority();
        let asked_for = heeds.then(|| Priority::asked_for(priority, sec_purpose)).flatten();
        context.priority.lowered(asked_for)
    }

    /// Whether upstreams are told to do less before anything is refused.
    pub fn tells_brownout(&self) -> bool {
        self.shedding.tells_upstreams
    }

    /// When reads go to a region that has less to do.
    pub fn spill(&self) -> Option<Spill> {
        self.shedding.spill
    }
}

/// A pool for each context that `concurrency` or `latency` names, and one for all others.
fn compile_pools(body: &PolicyBody) -> Result<Vec<Pool>, ConfigFault> {
    let said = &body.load_shedding;
    let (limits, latency) = (&said.concurrency, &said.latency);
    let first = LoadShedding::DEFAULT_POOL;
    let mut names = Vec::from([first]);
    for (key, name) in limits
        .keys()
        .map(|name| ("concurrency", name))
        .chain(latency.keys().map(|name| ("latency", name)))
        .filter(|(_, name)| *name != first)
    {
        if !body.contexts.iter().any(|context| context.name == *name) {
            return Err(fault(format!("{PATH}.{key}.{name}"), format!("`{name}` is no context")));
        }
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let baseline = latency.get(first).copied().unwrap_or_default();
    let pool = |name: &str| {
        let baseline = latency.get(name).copied().unwrap_or(baseline);
        if let Baseline::Slo { ms } = baseline {
            in_bounds(ms, &Baseline::SLO_MS, || format!("{PATH}.latency.{name}"))?;
        }
        let limit = match limits.get(name).copied() {
            Some(limit) => {
                let path = || format!("{PATH}.concurrency.{name}");
                in_bounds(limit, &LoadShedding::CONCURRENCY, path)?
            }
            None if said.mode == SheddingMode::Disabled => 0,
            None => {
                return Err(fault(format!("{PATH}.concurrency"), format!("`{name}` is missing")));
            }
        };
        Ok(Pool { name: name.into(), limit, baseline })
    };
    names.into_iter().map(pool).collect()
}

/// The pool of a context, by its number: its own, or that of all others.
pub(super) fn pool_of(body: &PolicyBody, pools: &[Pool], context: &str) -> Option<usize> {
    let is_counted = !body.load_shedding.never_shed.iter().any(|name| name == context);
    let own = || pools.iter().position(|pool| *pool.name == *context);
    is_counted.then(|| own().unwrap_or(0))
}

/// What is counted nowhere has no pool.
fn check_never_shed(body: &PolicyBody, pools: &[Pool]) -> Result<(), ConfigFault> {
    let names = &body.load_shedding.never_shed;
    for (number, name) in names.iter().enumerate() {
        let why = if !body.contexts.iter().any(|context| context.name == *name) {
            "is no context"
        } else if names.iter().take(number).any(|earlier| earlier == name) {
            "stands twice"
        } else if pools.iter().any(|pool| *pool.name == **name) {
            "has a pool, which its requests would never be in"
        } else {
            continue;
        };
        return Err(fault(format!("{PATH}.neverShed[{number}]"), format!("`{name}` {why}")));
    }
    Ok(())
}

fn compile_cohort(sources: &[CohortSource]) -> Result<Box<[CohortSource]>, ConfigFault> {
    if sources.is_empty() {
        return Err(fault(format!("{PATH}.cohort"), "names nothing to tell users apart by"));
    }
    for (number, source) in sources.iter().enumerate() {
        if sources.iter().take(number).any(|earlier| earlier == source) {
            let path = format!("{PATH}.cohort[{number}]");
            return Err(fault(path, format!("`{source}` stands twice")));
        }
    }
    Ok(sources.into())
}

fn compile_retries(retries: Retries) -> Result<Retries, ConfigFault> {
    in_bounds(retries.budget, &Retries::BUDGET, || format!("{PATH}.retries.budget"))?;
    in_bounds(retries.floor, &Retries::FLOOR, || format!("{PATH}.retries.floor"))?;
    Ok(retries)
}

/// When reads go to a region that has less to do.
fn compile_spill(spill: Option<Spill>) -> Result<Option<Spill>, ConfigFault> {
    let Some(Spill { above, margin }) = spill else { return Ok(None) };
    in_bounds(above, &Spill::PERCENT, || format!("{PATH}.spill.above"))?;
    in_bounds(margin, &Spill::PERCENT, || format!("{PATH}.spill.margin"))?;
    Ok(spill)
}

/// Refuses bounds that no request could keep.
pub(super) fn check_deadline(deadline: Deadlines, path: String) -> Result<(), ConfigFault> {
    let Deadlines { max_ms, min_ms } = deadline;
    if max_ms.is_none() && min_ms.is_none() {
        return Err(fault(path, "says nothing"));
    }
    if let Some(max) = max_ms {
        in_bounds(max, &Deadlines::MAX_MS, || format!("{path}.maxMs"))?;
    }
    if let Some(min) = min_ms {
        in_bounds(min, &Deadlines::MIN_MS, || format!("{path}.minMs"))?;
    }
    if deadline.leave_room() {
        return Ok(());
    }
    Err(fault(format!("{path}.minMs"), "leaves no time for the way through the mesh"))
}

fn in_bounds<T: Copy + PartialOrd + Display>(
    value: T,
    bounds: &RangeInclusive<T>,
    path: impl Fn() -> String,
) -> Result<T, ConfigFault> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    let (low, high) = (bounds.start(), bounds.end());
    Err(fault(path(), format!("is not between {low} and {high}")))
}

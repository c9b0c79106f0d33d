//! How much is let in, and for how long, as the plugin gets it.

use super::is_default;
use crate::deadline::Deadline;
use crate::vocabulary::{CohortSource, Mode, PriorityHeader, ShedAt, SheddingMode};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use serde::{Deserialize, Serialize};

/// How much is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadShedding {
    /// Whether it acts.
    pub mode: SheddingMode,
    /// Where requests are counted.
    pub shed_at: ShedAt,
    /// The status of a shed request, 503 or 429.
    pub status: u16,
    /// Requests in flight per worker, by context; `default` is the pool of all others. Where the
    /// limit follows a latency: how many at first.
    pub concurrency: BTreeMap<String, u32>,
    /// What limits follow, by context; pools without an entry follow what `default` does, and
    /// nothing where that is not here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub latency: BTreeMap<String, Baseline>,
    /// What users of one priority are told apart by: the first of these that a request has.
    #[serde(default = "every_cohort_source", skip_serializing_if = "is_every_cohort_source")]
    pub cohort: Vec<CohortSource>,
    /// How many requests may be tries of others while there is more to do than can be done.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retries: Retries,
    /// Contexts whose requests are counted nowhere, and never shed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub never_shed: Vec<String>,
    /// Whether a client may lower the priority of its own request.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority_header: PriorityHeader,
    /// Whether upstreams are told to do less before anything is refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub brownout: Mode,
    /// When reads go to a region that has less to do; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spill: Option<Spill>,
}

/// What the limit of a pool follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Baseline {
    /// Nothing: it stays as it is.
    #[default]
    Fixed,
    /// The latency of a backend that is not pressed, which is learned.
    Auto,
    /// A latency that was promised.
    Slo {
        /// How long a request may take, in milliseconds.
        ms: u32,
    },
}

/// How many requests may be tries of others while there is more to do than can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retries {
    /// So many for a hundred first attempts of the last ten seconds: 0 to 100.
    pub budget: u16,
    /// So many a second in any case: 0 to 1000.
    pub floor: u16,
}

/// When reads go to a region that has less to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spill {
    /// Above how much of its capacity a region gives reads away, in percent: 1 to 100.
    pub above: u16,
    /// How much less the other one has to use, in percent of its own: 1 to 100.
    pub margin: u16,
}

/// For how long the requests of a context are worth something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deadlines {
    /// How long one may take at most, in milliseconds, whatever its caller says; nothing bounds it
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<u32>,
    /// How long one takes at least, in milliseconds: with less than that left it is not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<u32>,
}

impl LoadShedding {
    /// The pool of all contexts that have none of their own.
    pub const DEFAULT_POOL: &str = "default";
    /// How many requests of a pool may be in flight.
    pub const CONCURRENCY: RangeInclusive<u32> = 1..=10_000;
    /// Where a limit that follows a latency starts when nothing is said.
    pub const CONCURRENCY_AT_FIRST: u32 = 10;
}

impl Baseline {
    /// What may be promised, in milliseconds.
    pub const SLO_MS: RangeInclusive<u32> = 1..=60_000;
}

impl Retries {
    /// What may be said of the budget, in percent.
    pub const BUDGET: RangeInclusive<u16> = 0..=100;
    /// What may be said of the floor, in requests a second.
    pub const FLOOR: RangeInclusive<u16> = 0..=1_000;
}

impl Default for Retries {
    fn default() -> Self {
        Self { budget: 10, floor: 3 }
    }
}

impl Spill {
    /// What may be said of either.
    pub const PERCENT: RangeInclusive<u16> = 1..=100;
}

impl Deadlines {
    /// How long a request may be allowed to take, in milliseconds: up to an hour.
    pub const MAX_MS: RangeInclusive<u32> = 20..=3_600_000;
    /// How long one may be said to take at least, in milliseconds: up to a minute.
    pub const MIN_MS: RangeInclusive<u32> = 1..=60_000;

    /// What the guards on the longest way keep together, in milliseconds: a gateway or workload that
    /// sends, the gateway of the other region, and the workload there.
    pub const WAY_MS: u32 = 3 * Deadline::HOP_MS;

    /// Whether a request that comes with all of its time can be begun wherever it has to pass.
    pub fn leave_room(self) -> bool {
        let needs = self.min_ms.unwrap_or(0).saturating_add(Self::WAY_MS);
        self.max_ms.is_none_or(|max| max >= needs)
    }
}

fn every_cohort_source() -> Vec<CohortSource> {
    CohortSource::ALL.to_vec()
}

fn is_every_cohort_source(sources: &Vec<CohortSource>) -> bool {
    sources == CohortSource::ALL
}

//! What all VMs of a proxy have in common.

use crate::cluster::ClusterInfo;
use crate::faults::{FaultPlan, Meanwhile, OtherThread};
use crate::metrics::Registry;
use crate::shared::{SharedData, SharedQueues};
use crate::trace::{CallSite, HostCall, LogLine, Trace};
use crate::{LogLevel, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Nanoseconds of 2024-01-01, where the virtual wall clock starts.
const EPOCH_NS: u64 = 1_704_067_200_000_000_000;

/// What the monotonic clock says at the start.
const UPTIME_NS: u64 = 3_600_000_000_000;

/// A clock that moves only when the host moves it.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    monotonic: Duration,
    pub(crate) unix_at_start_ns: u64,
}

impl Clock {
    pub(crate) fn now(&self) -> Duration {
        self.monotonic
    }

    pub(crate) fn monotonic_ns(&self) -> u64 {
        // A machine has been up for a while when a proxy starts.
        self.since_start_ns().saturating_add(UPTIME_NS)
    }

    fn since_start_ns(&self) -> u64 {
        u64::try_from(self.monotonic.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn unix_ns(&self) -> u64 {
        self.unix_at_start_ns.saturating_add(self.since_start_ns())
    }

    pub(crate) fn step_unix_ms(&mut self, by_ms: i64) {
        let step = by_ms.saturating_mul(1_000_000);
        self.unix_at_start_ns = self.unix_at_start_ns.saturating_add_signed(step);
    }

    pub(crate) fn advance_to(&mut self, time: Duration) {
        self.monotonic = self.monotonic.max(time);
    }
}

/// Bytes that nobody can guess and everybody can repeat (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(random) {
                *byte = random;
            }
        }
    }
}

/// Hears what is logged.
pub(crate) struct Listen(pub(crate) Box<dyn Fn(&LogLine)>);

impl std::fmt::Debug for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listen")
    }
}

/// What all VMs of a proxy have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) data: SharedData,
    pub(crate) queues: SharedQueues,
    pub(crate) metrics: Registry,
    pub(crate) log_level: LogLevel,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) listen: Option<Listen>,
    pub(crate) trace: Trace,
    pub(crate) faults: FaultPlan,
    pub(crate) meanwhile: Option<Meanwhile>,
    /// The only hostcalls that are expected; all if absent.
    pub(crate) expected: Option<BTreeSet<String>>,
    /// Those that were made all the same.
    pub(crate) unexpected: Vec<HostCall>,
    /// Clusters that requests and calls may go to.
    pub(crate) clusters: BTreeMap<String, ClusterInfo>,
    /// What would have killed Envoy.
    pub(crate) deaths: Vec<String>,
    /// `xds.node`.
    pub(crate) node: crate::Value,
    /// How many bytes a body may have that waits in the proxy.
    pub(crate) buffer_limit: usize,
}

impl Common {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            clock: Clock { monotonic: Duration::ZERO, unix_at_start_ns: EPOCH_NS },
            random: Random(seed),
            data: SharedData::default(),
            queues: SharedQueues::default(),
            metrics: Registry::default(),
            log_level: LogLevel::Info,
            logs: Vec::new(),
            listen: None,
            trace: Trace::default(),
            faults: FaultPlan::default(),
            meanwhile: None,
            expected: None,
            unexpected: Vec::new(),
            clusters: BTreeMap::new(),
            deaths: Vec::new(),
            node: crate::Value::map(
                [("id", "wasm-host"), ("cluster", "wasm-host")]
                    .map(|(key, value)| (key, crate::Value::text(value))),
            ),
            buffer_limit: 1024 * 1024,
        }
    }

    pub(crate) fn log(
        &mut self,
        worker: usize,
        level: LogLevel,
        plugin: Option<String>,
        message: &str,
    ) {
        if level >= self.log_level {
            let message = message.to_owned();
            let line = LogLine { worker, level, plugin, message };
            if let Some(Listen(listen)) = &self.listen {
                listen(&line);
            }
            self.logs.push(line);
        }
    }

    /// Something that Envoy does not survive.
    pub(crate) fn died(&mut self, worker: usize, why: &str) {
        self.log(worker, LogLevel::Critical, None, &format!("Envoy would have died: {why}"));
        self.deaths.push(why.to_owned());
    }

    /// Another thread gets its turn.
    pub(crate) fn let_others(&mut self, during: &CallSite, name: &'static str) {
        if let Some(Meanwhile(deed)) = &mut self.meanwhile {
            deed(during, name, &mut OtherThread(&mut self.data));
        }
    }

    /// A status that the fault plan puts in the place of a call.
    pub(crate) fn fault(&mut self, during: &CallSite, name: &'static str) -> Option<Status> {
        self.faults.strike(during, name)
    }

    pub(crate) fn called(&mut self, call: HostCall) {
        if self.expected.as_ref().is_some_and(|expected| !expected.contains(call.name)) {
            self.unexpected.push(call.clone());
        }
        self.trace.hostcalls.push(call);
    }
}

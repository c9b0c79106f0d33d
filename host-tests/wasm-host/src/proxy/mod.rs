//! A running proxy: threads with their VMs, streams, a clock, and what happens next.

mod actions;
mod calls;
mod failures;
mod outcomes;
mod plugins;
mod streams;
mod time;

use crate::common::Common;
use crate::host::{Host, StartError, UPSTREAM};
use crate::hostcalls;
use crate::metrics::{MetricName, MetricValue, TagExtractor};
use crate::plugin::Plugin;
use crate::route::Route;
use crate::schedule::{Schedule, VmNumber};
use crate::service::Service;
use crate::stream::Stream;
use crate::trace::{HostCall, LogLine, Trace};
use crate::vm::{CallKind, CallRequest, Vm};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// What a guest may use. Neither is a limit of Envoy's with V8: there a loop without end stops a
/// worker for good, and memory ends at a gigabyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most fuel of one callback; one that needs more traps.
    pub fuel_per_callback: u64,
    /// The most bytes of a guest's memories and tables.
    pub memory_bytes: usize,
    /// How much may happen at one instant of the virtual clock. More is a plugin that asks again and
    /// again for what comes at once: nothing happens any more then.
    pub events_per_instant: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel_per_callback: 1_000_000_000,
            memory_bytes: 1 << 30,
            events_per_instant: 100_000,
        }
    }
}

/// The plugins that the requests of a listener pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) plugins: Vec<String>,
}

/// A stream of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamNumber(pub(crate) u64);

/// A hostcall that nobody expected, in a proxy that is strict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unexpected hostcall: {0}")]
pub struct Unexpected(pub HostCall);

/// A plugin on a thread.
#[derive(Debug, Clone, Copy)]
struct Handle {
    vm: Option<VmNumber>,
    root: u32,
    loaded: Duration,
}

/// A thread. The first one is the main thread, which has no requests.
#[derive(Debug, Default)]
struct Worker {
    /// VMs that new plugins of the same key share.
    local: BTreeMap<String, VmNumber>,
    /// Plugins by name.
    handles: BTreeMap<String, Handle>,
}

#[derive(Debug, Clone, Copy)]
struct Timer {
    period: Duration,
    generation: u64,
}

/// A call of a plugin's that was not answered yet.
#[derive(Debug)]
struct PendingCall {
    root: u32,
    request: CallRequest,
    is_asked: bool,
}

/// A root of a plugin that is no longer configured.
#[derive(Debug, Clone, Copy)]
struct Retiring {
    vm: VmNumber,
    root: u32,
}

/// A running proxy.
pub struct Proxy {
    pub(crate) common: Rc<RefCell<Common>>,
    pub(crate) vms: BTreeMap<VmNumber, Vm>,
    pub(crate) streams: BTreeMap<u64, Stream>,
    pub(crate) routes: Vec<Route>,
    plugins: BTreeMap<String, Rc<Plugin>>,
    listeners: BTreeMap<String, Listener>,
    services: BTreeMap<String, Rc<dyn Service>>,
    workers: Vec<Worker>,
    /// Keys of VMs of which there is a first one, which every other one is a copy of.
    bases: BTreeSet<String>,
    /// Keys of VMs and plugins that were tried before.
    canaries: BTreeSet<(String, String)>,
    schedule: Schedule,
    timers: BTreeMap<(VmNumber, u32), Timer>,
    calls: BTreeMap<(VmNumber, CallKind, u32), PendingCall>,
    retiring: Vec<Retiring>,
    limits: Limits,
    /// The instant at hand, and how much has happened at it.
    instant: (Duration, u64),
    patience: Duration,
    tags: Vec<TagExtractor>,
    next_vm: u64,
    next_stream: u64,
    next_worker: usize,
}

impl Proxy {
    pub(crate) fn start(host: Host) -> Result<Self, StartError> {
        let asked = host.expected.iter().flatten().map(String::as_str).chain(host.faults.name);
        for name in asked {
            if !hostcalls::names().any(|known| known == name) {
                return Err(StartError::UnknownHostcall(name.to_owned()));
            }
        }
        let mut common = Common::new(host.seed);
        common.log_level = host.log_level;
        common.faults = host.faults;
        common.meanwhile = host.meanwhile;
        common.expected = host.expected;
        common.listen = host.on_log;
        common.buffer_limit = host.buffer_limit;
        common.clusters = host.clusters;
        for name in host.services.keys() {
            common.clusters.entry(name.clone()).or_default();
        }
        if let Some(unix_ns) = host.unix_at_start_ns {
            common.clock.unix_at_start_ns = unix_ns;
        }
        if let Some(node) = host.node {
            common.node = node;
        }
        let mut listeners = host.listeners;
        if listeners.is_empty() {
            let plugins = host.plugins.iter().map(|plugin| plugin.name.clone()).collect();
            listeners.insert(String::new(), Listener { plugins });
        }
        let mut routes = host.routes;
        if routes.is_empty() {
            routes.push(Route::to(UPSTREAM));
        }
        let mut proxy = Self {
            common: Rc::new(RefCell::new(common)),
            vms: BTreeMap::new(),
            streams: BTreeMap::new(),
            routes,
            plugins: BTreeMap::new(),
            listeners,
            services: host.services,
            workers: (0..=host.workers).map(|_| Worker::default()).collect(),
            bases: BTreeSet::new(),
            canaries: BTreeSet::new(),
            schedule: Schedule::new(host.order),
            timers: BTreeMap::new(),
            calls: BTreeMap::new(),
            retiring: Vec::new(),
            limits: host.limits,
            instant: (Duration::ZERO, 0),
            patience: host.patience,
            tags: host.tags,
            next_vm: 0,
            next_stream: 0,
            next_worker: 0,
        };
        for plugin in host.plugins {
            proxy.configure(plugin)?;
        }
        for (listener, Listener { plugins }) in &proxy.listeners {
            let unknown = plugins.iter().find(|name| !proxy.plugins.contains_key(*name));
            if let Some(plugin) = unknown.cloned() {
                let listener = listener.clone();
                return Err(StartError::UnknownPlugin { listener, plugin });
            }
        }
        let first = proxy.unexpected().into_iter().next();
        first.map_or(Ok(proxy), |call| Err(Unexpected(call).into()))
    }

    /// Everything that was logged since the start.
    pub fn logs(&self) -> Vec<LogLine> {
        self.common.borrow().logs.clone()
    }

    /// Everything that plugins did since the start.
    pub fn trace(&self) -> Trace {
        self.common.borrow().trace.clone()
    }

    fn is_dead(&self) -> bool {
        !self.common.borrow().deaths.is_empty()
    }

    /// Hostcalls that were not expected, since the start: those of a start or a tick among them, which
    /// belong to no request.
    pub fn unexpected(&self) -> Vec<HostCall> {
        self.common.borrow().unexpected.clone()
    }

    /// Forgets what was logged and traced, for runs that are long. Streams that are open lose theirs.
    pub fn forget_trace(&mut self) {
        let mut common = self.common.borrow_mut();
        common.logs.clear();
        common.trace = Trace::default();
    }

    /// What would have killed Envoy, since the start. From then on nothing happens by itself any
    /// more.
    pub fn deaths(&self) -> Vec<String> {
        self.common.borrow().deaths.clone()
    }

    /// The metrics of plugins, and those of the proxy about them.
    pub fn metrics(&self) -> BTreeMap<MetricName, MetricValue> {
        self.common.borrow().metrics.shown(&self.tags)
    }

    /// The value of a counter or gauge by its name, with its tags as [`MetricName`] shows them.
    pub fn metric(&self, name: &str) -> Option<u64> {
        self.metrics().into_iter().find_map(|(known, value)| match value {
            MetricValue::Counter(value) | MetricValue::Gauge(value)
                if known.to_string() == name =>
            {
                Some(value)
            }
            _ => None,
        })
    }

    /// How many ids of metrics each VM has: more than metrics means that somebody defines again and
    /// again, which Envoy keeps for as long as the VM lives.
    pub fn metric_ids(&self) -> Vec<usize> {
        self.vms.values().map(|vm| vm.state().metrics.ids()).collect()
    }

    /// A value that VMs of an id share.
    pub fn shared_data(&self, vm_id: &str, key: &str) -> Option<Vec<u8>> {
        let common = self.common.borrow();
        common.data.get(vm_id, key.as_bytes()).map(|(value, _)| value.to_vec())
    }

    /// Shares a value, as another plugin would that has the same VM id.
    pub fn share(&mut self, vm_id: &str, key: &str, value: &[u8]) {
        // Without a number to compare nothing can go wrong.
        let _ = self.common.borrow_mut().data.set(vm_id, key.as_bytes(), value, 0);
    }

    /// The bytes of memory of each VM that is there, failed ones among them.
    pub fn memory_bytes(&self) -> Vec<usize> {
        self.vms.values().map(Vm::memory_bytes).collect()
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("now", &self.now())
            .field("plugins", &self.plugins.keys())
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}

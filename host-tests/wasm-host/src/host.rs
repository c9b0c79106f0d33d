//! Setting up a proxy.

use crate::common::Listen;
use crate::faults::{FaultPlan, Meanwhile, OtherThread};
use crate::metrics::TagExtractor;
use crate::plugin::FailurePolicy;
use crate::proxy::{Limits, Listener, Proxy, Unexpected};
use crate::route::Route;
use crate::schedule::Order;
use crate::service::{Service, ok};
use crate::{CallSite, ClusterInfo, Code, LoadError, LogLevel, LogLine, Plugin, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// Why a proxy does not start. Envoy would refuse the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The module cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The module failed before it had started.
    #[error("{why} (the plugin `{plugin}`)")]
    Vm {
        /// The plugin.
        plugin: String,
        /// What failed.
        why: String,
    },
    /// Envoy would have died of it.
    #[error("Envoy dies of the plugin `{plugin}`: {why}")]
    Died {
        /// The plugin.
        plugin: String,
        /// Of what.
        why: String,
    },
    /// `proxy_on_vm_start` said no.
    #[error("Failed to start base Wasm: proxy_on_vm_start of the plugin `{0}` returned false")]
    VmStart(String),
    /// `proxy_on_configure` said no.
    #[error(
        "Failed to configure base Wasm plugin: proxy_on_configure of the plugin `{0}` returned false"
    )]
    Configure(String),
    /// Somebody expects a hostcall, or wants one to fail, that does not exist.
    #[error("there is no hostcall `{0}`")]
    UnknownHostcall(String),
    /// A hostcall that was not expected, in a proxy that is strict.
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
    /// A listener names a plugin that there is none of.
    #[error("the listener `{listener}` names the plugin `{plugin}`, which is not there")]
    UnknownPlugin {
        /// The listener.
        listener: String,
        /// The plugin.
        plugin: String,
    },
}

/// The name of the cluster that everything goes to if nothing else is said.
pub const UPSTREAM: &str = "upstream";

/// The setting of a proxy: plugins, listeners, routes, what stands behind.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wasm_host::{Host, Response, get};
///
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/hello.wat");
/// let wasm = wat::parse_file(path)?;
/// let mut proxy = Host::new(&wasm)?
///     .workers(2)
///     .config(r#"{"greeting": "hello"}"#)
///     .upstream(|_| Response::new(200).body("from upstream"))
///     .start()?;
/// let outcome = proxy.send(get("/x").header("user-agent", "me"))?;
/// assert_eq!((outcome.status, outcome.text().as_str()), (200, "from upstream"));
/// # Ok(()) }
/// ```
pub struct Host {
    pub(crate) plugins: Vec<Plugin>,
    pub(crate) listeners: BTreeMap<String, Listener>,
    pub(crate) routes: Vec<Route>,
    pub(crate) services: BTreeMap<String, Rc<dyn Service>>,
    pub(crate) clusters: BTreeMap<String, ClusterInfo>,
    pub(crate) workers: usize,
    pub(crate) seed: u64,
    pub(crate) order: Order,
    pub(crate) log_level: LogLevel,
    pub(crate) limits: Limits,
    pub(crate) buffer_limit: usize,
    pub(crate) patience: Duration,
    pub(crate) unix_at_start_ns: Option<u64>,
    pub(crate) node: Option<Value>,
    pub(crate) tags: Vec<TagExtractor>,
    pub(crate) faults: FaultPlan,
    pub(crate) meanwhile: Option<Meanwhile>,
    pub(crate) expected: Option<BTreeSet<String>>,
    pub(crate) on_log: Option<Listen>,
}

impl Host {
    /// A proxy with one plugin of this module, and an upstream that answers 200.
    ///
    /// # Errors
    /// What Envoy would not load.
    pub fn new(wasm: &[u8]) -> Result<Self, LoadError> {
        Ok(Self::of(Plugin::new("plugin", &Code::compile(wasm)?)))
    }

    /// A proxy with this plugin, and an upstream that answers 200.
    pub fn of(plugin: Plugin) -> Self {
        let service: Rc<dyn Service> = Rc::new(ok);
        Self {
            plugins: vec![plugin],
            listeners: BTreeMap::new(),
            routes: Vec::new(),
            services: [(UPSTREAM.to_owned(), service)].into(),
            clusters: BTreeMap::new(),
            workers: 1,
            seed: 0,
            order: Order::default(),
            log_level: LogLevel::Info,
            limits: Limits::default(),
            buffer_limit: 1024 * 1024,
            patience: Duration::from_mins(5),
            unix_at_start_ns: None,
            node: None,
            tags: Vec::new(),
            faults: FaultPlan::none(),
            meanwhile: None,
            expected: None,
            on_log: None,
        }
    }

    /// Adds a plugin. Without listeners of your own, a request passes all plugins in order.
    #[must_use]
    pub fn plugin(mut self, plugin: Plugin) -> Self {
        self.plugins.push(plugin);
        self
    }

    /// Adds a listener: the plugins that its requests pass, in order.
    #[must_use]
    pub fn listener(mut self, name: impl Into<String>, plugins: &[&str]) -> Self {
        let plugins = plugins.iter().map(|name| (*name).to_owned()).collect();
        self.listeners.insert(name.into(), Listener { plugins });
        self
    }

    fn first(mut self, change: impl FnOnce(Plugin) -> Plugin) -> Self {
        if !self.plugins.is_empty() {
            let plugin = self.plugins.remove(0);
            self.plugins.insert(0, change(plugin));
        }
        self
    }

    /// The configuration of the first plugin.
    #[must_use]
    pub fn config(self, configuration: impl Into<Vec<u8>>) -> Self {
        self.first(|plugin| plugin.configuration(configuration))
    }

    /// The root id of the first plugin.
    #[must_use]
    pub fn root_id(self, root_id: impl Into<String>) -> Self {
        self.first(|plugin| plugin.root_id(root_id))
    }

    /// A variable in the environment of the first plugin.
    #[must_use]
    pub fn env(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.first(|plugin| plugin.env(name, value))
    }

    /// What becomes of requests when the VM of the first plugin has failed.
    #[must_use]
    pub fn failure_policy(self, policy: FailurePolicy) -> Self {
        self.first(|plugin| plugin.failure_policy(policy))
    }

    /// How many workers there are. The main thread has a VM too, which ticks and has no requests.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Adds a route. The first that matches is taken; without any, everything goes to
    /// [`UPSTREAM`].
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// What answers in the cluster [`UPSTREAM`].
    #[must_use]
    pub fn upstream(self, service: impl Service + 'static) -> Self {
        self.cluster(UPSTREAM, service)
    }

    /// Adds a cluster with what answers there, requests as well as calls of plugins.
    #[must_use]
    pub fn cluster(mut self, name: impl Into<String>, service: impl Service + 'static) -> Self {
        self.services.insert(name.into(), Rc::new(service));
        self
    }

    /// Says what attributes tell of a cluster.
    #[must_use]
    pub fn cluster_info(mut self, name: impl Into<String>, info: ClusterInfo) -> Self {
        self.clusters.insert(name.into(), info);
        self
    }

    /// What random bytes are made of. The same seed, the same bytes.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// In which order things happen that are due at the same time, such as ticks of workers.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// The least level that is logged, and what `proxy_get_log_level` says.
    #[must_use]
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log_level = level;
        self
    }

    /// Hears every line as it is logged, those of a start that fails among them.
    #[must_use]
    pub fn on_log(mut self, listen: impl Fn(&LogLine) + 'static) -> Self {
        self.on_log = Some(Listen(Box::new(listen)));
        self
    }

    /// What a guest may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many bytes of a body may wait in the proxy; Envoy's default is 1 MiB.
    #[must_use]
    pub fn buffer_limit(mut self, bytes: usize) -> Self {
        self.buffer_limit = bytes;
        self
    }

    /// How long, by the virtual clock, a request may take before it counts as hung.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What the wall clock says at the start, in nanoseconds since 1970.
    #[must_use]
    pub fn unix_ns(mut self, nanoseconds: u64) -> Self {
        self.unix_at_start_ns = Some(nanoseconds);
        self
    }

    /// The attribute `xds.node`.
    #[must_use]
    pub fn node(mut self, node: Value) -> Self {
        self.node = Some(node);
        self
    }

    /// Takes a tag out of the names of metrics.
    #[must_use]
    pub fn tag(mut self, tag: TagExtractor) -> Self {
        self.tags.push(tag);
        self
    }

    /// Which hostcalls fail.
    #[must_use]
    pub fn faults(mut self, plan: FaultPlan) -> Self {
        self.faults = plan;
        self
    }

    /// What another thread does just before a hostcall: where, and which one. Callbacks never overlap
    /// here, while the workers of a proxy do; so a plugin is shown that somebody wrote between its
    /// reading and its writing.
    #[must_use]
    pub fn meanwhile(
        mut self,
        deed: impl FnMut(&CallSite, &'static str, &mut OtherThread<'_>) + 'static,
    ) -> Self {
        self.meanwhile = Some(Meanwhile(Box::new(deed)));
        self
    }

    /// Strict: only these hostcalls are expected. Any other one makes the start fail, or the
    /// [`Proxy::send`] during which or before which it happens.
    #[must_use]
    pub fn expect_only(mut self, hostcalls: &[&str]) -> Self {
        self.expected = Some(hostcalls.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Starts the proxy: a base VM and a canary for each plugin, then a VM on the main thread and on
    /// each worker.
    ///
    /// # Errors
    /// Why Envoy would refuse the configuration.
    pub fn start(self) -> Result<Proxy, StartError> {
        Proxy::start(self)
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("plugins", &self.plugins)
            .field("listeners", &self.listeners)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

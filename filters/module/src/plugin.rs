//! What the callbacks of Envoy do: they hand over to the guard.

use crate::abi::{self, Level};
use crate::host::{self, Envoy, ThisVm};
use guard::reroute::{self, Upstream};
use guard::{Attached, Flow, Guard, Host as _, LastGood, Metric, Regional, Reply, Stream, Worker};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

thread_local! {
    /// What this VM remembers, whatever its configuration.
    static WORKER: RefCell<Worker> = RefCell::new(Worker::new(NODE.with(|node| *node)));
    /// What it knows of region state.
    static REGIONAL: RefCell<Regional> = RefCell::new(Regional::new(NODE.with(|node| *node)));
    /// Which VM this is.
    static NODE: u32 = node();
    /// The last good configuration of each attachment of this VM.
    static LAST_GOOD: RefCell<LastGood> = RefCell::new(LastGood::default());
    /// How many of this VM's roots refuse their configuration.
    static REFUSED: Cell<u32> = const { Cell::new(0) };
}

/// A number that no other VM has, with overwhelming probability.
fn node() -> u32 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes),
        // Without randomness the nanosecond of the first use has to tell VMs apart.
        Err(_) => abi::unix_ns().map_or(0, |ns| u32::try_from(ns & 0xffff_ffff).unwrap_or(0)),
    }
}

/// As much of a refused configuration as a log line shows.
const LOG_CHARS_MAX: usize = 1024;

/// One configuration of the plugin in this VM.
pub(crate) struct Root {
    guard: Rc<Guard>,
    /// It is one of [`REFUSED`].
    counted: bool,
    /// It is attached to the cluster of a peer, and judges nothing.
    is_upstream: bool,
}

impl Root {
    pub(crate) fn new() -> Self {
        let at = Attached { plugin: b"", root: guard::ROOT.as_bytes() };
        let guard = Guard::configure(at, None, &mut ThisVm, &mut LastGood::default());
        Self { guard: Rc::new(guard), counted: false, is_upstream: false }
    }

    /// Reads a configuration.
    fn configure(&mut self) {
        let plugin = host::property(&["plugin_name"]).ok().flatten().unwrap_or_default();
        let root = host::property(&["plugin_root_id"]).ok().flatten().unwrap_or_default();
        let configuration = abi::plugin_configuration().ok();
        let at = Attached { plugin: &plugin, root: &root };
        let guard = LAST_GOOD.with(|last| {
            // Envoy does not configure a VM while it configures it.
            let mut nothing = LastGood::default();
            let mut known = last.try_borrow_mut();
            let last = known.as_deref_mut().unwrap_or(&mut nothing);
            Guard::configure(at, configuration.as_deref(), &mut ThisVm, last)
        });
        self.guard = Rc::new(guard);
    }

    /// Tells by what policy this attachment serves, and since when.
    fn tell_policy(&self) {
        let Some(role) = self.guard.role() else { return };
        host::set_gauge(Metric::ConfigHash(role), self.guard.hash_number());
        host::set_gauge(Metric::ConfigLoaded(role), self.guard.since_ms() / 1_000);
        let unsound = u64::try_from(self.guard.unsound_maps().count()).unwrap_or(u64::MAX);
        host::set_gauge(Metric::UnsoundMaps(role), unsound);
    }

    /// Tells whether this VM has a root that refuses its configuration. One good configuration
    /// must not hide a neighbour's refused one; and Envoy configures nothing when it goes back to a
    /// configuration whose root it still has, so the end of the refused root has to tell as well.
    /// (A root of Envoy's canary VM has no such end, so a sum over all VMs would only ever grow.)
    fn tell(&mut self, refused: bool) {
        REFUSED.with(|count| {
            let others = count.get().saturating_sub(u32::from(self.counted));
            count.set(others.saturating_add(u32::from(refused)));
            host::set_gauge(Metric::ConfigRejected, u64::from(count.get() > 0));
        });
        self.counted = refused;
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if self.counted {
            self.tell(false);
        }
    }
}

impl Root {
    /// A configuration is there. One that cannot be used makes a guard that refuses, a log line and a
    /// gauge.
    pub(crate) fn on_configure(&mut self) {
        let root = host::property(&["plugin_root_id"]).ok().flatten();
        self.is_upstream = root.is_some_and(|root| root == reroute::ROOT.as_bytes());
        if self.is_upstream {
            return;
        }
        self.configure();
        self.tell(self.guard.fault().is_some());
        self.tell_policy();
        if let Some(fault) = self.guard.fault() {
            log(Level::Error, &format!("meshfence: configuration refused at {fault}"));
        }
        let candidate_fault = self.guard.candidate_fault();
        host::set_gauge(Metric::CandidateRejected, u64::from(candidate_fault.is_some()));
        if let Some(fault) = candidate_fault {
            log(Level::Warn, &format!("meshfence: candidate not evaluated: {fault}"));
        }
        if self.guard.found_foreign() {
            host::increment(Metric::ForeignSharedData);
            log(Level::Error, "meshfence: a configuration in shared data bears no seal of ours");
        }
        for name in self.guard.missing_secrets() {
            log(Level::Warn, &format!("meshfence: {name} is not set, or shorter than 32 bytes"));
        }
        for name in self.guard.unsound_maps() {
            log(
                Level::Error,
                &format!("meshfence: the tenant map {name} is not what its signature says"),
            );
        }
        if let Some(policy) = self.guard.policy() {
            let (name, hash) = policy.set();
            let (level, what) = match self.guard.fault() {
                Some(_) => (Level::Warn, "still enforcing"),
                None => (Level::Info, "enforcing"),
            };
            log(level, &format!("meshfence: {what} {name}, hash {hash}"));
        }
        if self.guard.reroutes() && host::declare_pass().is_err() {
            log(Level::Warn, "meshfence: no note of a first pass is kept: nothing is rerouted");
        }
        // Of no milliseconds: never.
        let period_ms = self.guard.tick_ms().unwrap_or(0);
        if abi::set_tick_period(period_ms).is_err() {
            log(Level::Error, "meshfence: no ticks: leases stay unknown, clocks apart");
        }
        WORKER.with(|worker| {
            let Ok(mut worker) = worker.try_borrow_mut() else { return };
            with_regional(|regional| self.guard.on_start(&mut worker, regional, &mut ThisVm));
        });
    }

    pub(crate) fn on_tick(&self) {
        WORKER.with(|worker| {
            let Ok(mut worker) = worker.try_borrow_mut() else { return };
            with_regional(|regional| self.guard.on_tick(&mut worker, regional, &mut ThisVm));
        });
    }

    pub(crate) fn on_http_call_response(&self, call: u32, body_size: usize) {
        with_regional(|regional| {
            self.guard.on_answer(regional, call, body_size, &mut ThisVm);
        });
    }

    pub(crate) fn on_new_stream(&self) -> Http {
        Http {
            guard: Rc::clone(&self.guard),
            stream: Stream::default(),
            upstream: self.is_upstream.then(Upstream::default),
        }
    }
}

/// Envoy does not call back into a VM that is calling it; should a host ever do, region state waits
/// for the next tick.
fn with_regional(step: impl FnOnce(&mut Regional)) {
    REGIONAL.with(|regional| {
        if let Ok(mut regional) = regional.try_borrow_mut() {
            step(&mut regional);
        }
    });
}

/// One request.
pub(crate) struct Http {
    guard: Rc<Guard>,
    stream: Stream,
    /// It is on its way to a peer, and was judged before.
    upstream: Option<Upstream>,
}

impl Http {
    /// Envoy may deliver body and trailers of a request that waits: they wait with it.
    pub(crate) fn on_request_body(&self) -> Flow {
        let is_open = self.upstream.is_some() || self.stream.is_open();
        if is_open { Flow::Continue } else { Flow::Pause }
    }

    /// Region state may be another than it was.
    pub(crate) fn on_state(&mut self) -> Option<Flow> {
        let Self { guard, stream, .. } = self;
        if !stream.is_waiting() {
            return None;
        }
        WORKER.with(|worker| {
            let mut worker = worker.try_borrow_mut().ok()?;
            guard.on_state(&mut worker, stream, &mut Envoy)
        })
    }

    /// Whether it waits for region state.
    pub(crate) fn is_waiting(&self) -> bool {
        self.stream.is_waiting()
    }

    pub(crate) fn on_request_headers(&mut self, end_of_stream: bool) -> Flow {
        let Self { guard, stream, upstream } = self;
        if let Some(upstream) = upstream {
            return upstream.on_request_headers(&mut Envoy);
        }
        WORKER.with(|worker| match worker.try_borrow_mut() {
            Ok(mut worker) => {
                guard.on_request_headers(&mut worker, stream, &mut Envoy, end_of_stream)
            }
            Err(_) => busy(),
        })
    }

    pub(crate) fn on_request_trailers(&mut self) -> Flow {
        if self.upstream.is_some() {
            return Flow::Continue;
        }
        self.guard.on_request_trailers(&mut self.stream, &mut Envoy)
    }

    pub(crate) fn on_response_headers(&mut self, end_of_stream: bool) -> Flow {
        if let Some(upstream) = &mut self.upstream {
            return upstream.on_response_headers(&mut Envoy);
        }
        let Self { guard, stream, .. } = self;
        WORKER.with(|worker| match worker.try_borrow_mut() {
            Ok(mut worker) => {
                guard.on_response_headers(&mut worker, stream, &mut Envoy, end_of_stream)
            }
            // As for requests: Envoy does not. Nothing of the response leaves.
            Err(_) => Flow::Pause,
        })
    }

    pub(crate) fn on_response_body(&mut self, size: usize, end_of_stream: bool) -> Flow {
        let Self { guard, stream, .. } = self;
        guard.on_response_body(stream, &mut Envoy, size, end_of_stream)
    }

    pub(crate) fn on_response_trailers(&mut self) -> Flow {
        self.guard.on_response_trailers(&mut self.stream, &mut Envoy)
    }

    pub(crate) fn on_log(&mut self) {
        let Self { guard, stream, .. } = self;
        WORKER.with(|worker| match worker.try_borrow_mut() {
            Ok(mut worker) => guard.on_done(&mut worker, stream, &mut Envoy),
            // As for requests: Envoy does not.
            Err(_) => guard.release(stream),
        });
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.guard.release(&mut self.stream);
    }
}

/// Writes one line, whatever was in the configuration: a fault quotes keys and values of it.
pub(crate) fn log(level: Level, text: &str) {
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    let line: String = text.chars().take(LOG_CHARS_MAX).map(printable).collect();
    abi::log(level, &line);
}

/// Envoy does not call back into a VM that is calling it. Should a host ever do, the inner request
/// is refused.
fn busy() -> Flow {
    let reply = Reply {
        status: 503,
        grpc_status: None,
        headers: Vec::new(),
        body: b"",
        details: "meshfence_busy",
    };
    // If even that fails the request waits until its timeout.
    let _ = Envoy.reply(&reply);
    Flow::Pause
}

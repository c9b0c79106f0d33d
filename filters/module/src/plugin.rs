//! The proxy-wasm contexts. The SDK's dispatcher calls them; what they do is the guard's.
//!
//! The dispatcher itself panics when Envoy names a context that it never created; Envoy does not.

use crate::abi::{self, Level};
use crate::host::{self, Envoy, ThisVm};
use guard::{Attached, Flow, Guard, Host as _, LastGood, Metric, Reply, Stream, Worker};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

proxy_wasm::main! {{
    // Errors of the SDK and panics; the module's own lines do not pass through the SDK.
    proxy_wasm::set_log_level(LogLevel::Error);
    proxy_wasm::set_root_context(|_| Box::new(Root::new()));
}}

thread_local! {
    /// What this VM remembers, whatever its configuration.
    static WORKER: RefCell<Worker> = RefCell::new(Worker::new(node()));
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
struct Root {
    guard: Rc<Guard>,
    /// It is one of [`REFUSED`].
    counted: bool,
}

impl Root {
    fn new() -> Self {
        let at = Attached { plugin: b"", root: guard::ROOT.as_bytes() };
        let guard = Guard::configure(at, None, &mut ThisVm, &mut LastGood::default());
        Self { guard: Rc::new(guard), counted: false }
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

impl Context for Root {}

impl RootContext for Root {
    /// Always true: false would make Envoy exit, or answer 500 for everything. A configuration that
    /// cannot be used makes a guard that refuses, a log line and a gauge.
    fn on_configure(&mut self, _size: usize) -> bool {
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
        true
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http { guard: Rc::clone(&self.guard), stream: Stream::default() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One request.
struct Http {
    guard: Rc<Guard>,
    stream: Stream,
}

impl Http {
    /// Envoy may deliver body and trailers of a request that waits: they wait with it.
    fn wait(&self) -> Action {
        if self.stream.is_open() { Action::Continue } else { Action::Pause }
    }
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let Self { guard, stream } = self;
        let flow = WORKER.with(|worker| match worker.try_borrow_mut() {
            Ok(mut worker) => {
                guard.on_request_headers(&mut worker, stream, &mut Envoy, end_of_stream)
            }
            Err(_) => busy(),
        });
        action(flow)
    }

    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        self.wait()
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        action(self.guard.on_request_trailers(&mut self.stream, &mut Envoy))
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        action(self.guard.on_response_headers(&mut self.stream, &mut Envoy, end_of_stream))
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let Self { guard, stream } = self;
        action(guard.on_response_body(stream, &mut Envoy, size, end_of_stream))
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        action(self.guard.on_response_trailers(&mut self.stream, &mut Envoy))
    }

    fn on_log(&mut self) {
        let Self { guard, stream } = self;
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
fn log(level: Level, text: &str) {
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    let line: String = text.chars().take(LOG_CHARS_MAX).map(printable).collect();
    abi::log(level, &line);
}

fn action(flow: Flow) -> Action {
    match flow {
        Flow::Continue => Action::Continue,
        Flow::Pause => Action::Pause,
    }
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

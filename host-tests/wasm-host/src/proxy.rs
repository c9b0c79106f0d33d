//! A running proxy: threads with their VMs, streams, a clock, and what happens next.

use crate::code;
use crate::common::Common;
use crate::context::{
    CallResponse, Context, Info, Message, RootContext, StreamContext, StreamState, View,
};
use crate::host::{Host, StartError, UPSTREAM};
use crate::metrics::{MetricName, MetricValue, TagExtractor};
use crate::outcome::{Ended, Outcome};
use crate::plugin::{FailurePolicy, Plugin};
use crate::request::Request;
use crate::route::Route;
use crate::schedule::{Event, Schedule, VmNumber};
use crate::service::{Ending, Failure, Incoming, Response, Service};
use crate::stream::{Delivered, Filter, Sent, Stream, place};
use crate::trace::{HostCall, LogLine, Trace};
use crate::vm::{Action, CallKind, CallRequest, LocalReply, Vm};
use crate::{Direction, Headers, grpc};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Waiting, Poll, Wake, Waker};
use std::time::Duration;

/// What a guest may use. Neither is a limit of Envoy's with V8: there a loop without end stops a
/// worker for good, and memory ends at a gigabyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most fuel of one callback; one that needs more traps.
    pub fuel_per_callback: u64,
    /// The most bytes of a guest's memory.
    pub memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { fuel_per_callback: 1_000_000_000, memory_bytes: 1 << 30 }
    }
}

/// The plugins that the requests of a listener pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) plugins: Vec<String>,
}

/// A stream of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamNumber(u64);

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
    schedule: Schedule,
    timers: BTreeMap<(VmNumber, u32), Timer>,
    calls: BTreeMap<(VmNumber, CallKind, u32), PendingCall>,
    retiring: Vec<Retiring>,
    limits: Limits,
    patience: Duration,
    tags: Vec<TagExtractor>,
    next_vm: u64,
    next_stream: u64,
    next_worker: usize,
}

/// The response flags of failures, as Envoy numbers them.
fn flag(failure: Failure) -> u64 {
    match failure {
        Failure::NoHealthyHost => 1 << 1,
        Failure::Timeout => 1 << 2,
        Failure::Refused => 1 << 5,
        Failure::Reset => 1 << 6,
    }
}

/// The response flag of a client that went away.
const DOWNSTREAM_GONE: u64 = 1 << 14;

/// What Envoy's router answers for an upstream that fails.
fn router_reply(failure: Failure) -> LocalReply {
    const BROKEN: &str =
        "upstream connect error or disconnect/reset before headers. reset reason: ";
    let (status, details, body) = match failure {
        Failure::NoHealthyHost => (503, "no_healthy_upstream", "no healthy upstream".to_owned()),
        Failure::Timeout => (504, "response_timeout", "upstream request timeout".to_owned()),
        Failure::Refused => (
            503,
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
            format!(
                "{BROKEN}remote connection failure, transport failure reason: delayed connect error: Connection refused"
            ),
        ),
        Failure::Reset => (
            503,
            "upstream_reset_before_response_started{connection_termination}",
            format!("{BROKEN}connection termination"),
        ),
    };
    LocalReply {
        status,
        details: details.into(),
        body: body.into_bytes(),
        headers: Vec::new(),
        grpc_status: -1,
    }
}

impl Proxy {
    pub(crate) fn start(host: Host) -> Result<Self, StartError> {
        let mut common = Common::new(host.seed);
        common.log_level = host.log_level;
        common.faults = host.faults;
        common.expected = host.expected;
        common.listen = host.on_log;
        common.buffer_limit = host.buffer_limit;
        common.clusters = host.services.keys().cloned().collect();
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
            schedule: Schedule::new(host.order),
            timers: BTreeMap::new(),
            calls: BTreeMap::new(),
            retiring: Vec::new(),
            limits: host.limits,
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
        Ok(proxy)
    }

    // ---- plugins ----

    /// Configures a plugin anew, or one that was not there. What is under way stays with the plugin
    /// as it was.
    ///
    /// # Errors
    /// Why Envoy would refuse the configuration; the one before stays in force.
    pub fn configure(&mut self, plugin: Plugin) -> Result<(), StartError> {
        let plugin = Rc::new(plugin);
        self.canary(&plugin)?;
        let before = self.plugins.insert(plugin.name.clone(), Rc::clone(&plugin));
        for worker in 0..self.workers.len() {
            let old = self.workers.get(worker).and_then(|known| known.handles.get(&plugin.name));
            let old = old.copied();
            let handle = self.load(worker, &plugin);
            if let Some(known) = self.workers.get_mut(worker) {
                known.handles.insert(plugin.name.clone(), handle);
            }
            if let Some(Handle { vm: Some(vm), root, .. }) = old
                && (handle.vm, handle.root) != (Some(vm), root)
            {
                self.retiring.push(Retiring { vm, root });
            }
        }
        drop(before);
        self.bury();
        Ok(())
    }

    /// Calls a callback of a plugin on every thread although nothing has happened: for its root, with
    /// these arguments behind that. So a test sees what a plugin makes of a tick, a queue or an
    /// answer that it never asked for. What the callback takes more of is 0.
    pub fn provoke(&mut self, plugin: &str, callback: &'static str, arguments: &[u32]) {
        let Some(takes) = code::arity(callback) else { return };
        for worker in 0..self.workers.len() {
            let handle = self.workers.get(worker).and_then(|known| known.handles.get(plugin));
            let Some(Handle { vm: Some(vm), root, .. }) = handle.copied() else { continue };
            let all = [root].into_iter().chain(arguments.iter().copied());
            let all: Vec<u32> = all.chain(std::iter::repeat(0)).take(takes).collect();
            self.call(vm, callback, root, &all);
        }
        self.bury();
    }

    /// Tries a plugin in a VM of its own, on the main thread, before any thread uses it.
    fn canary(&mut self, plugin: &Rc<Plugin>) -> Result<(), StartError> {
        let start = || {
            Vm::start(plugin, 0, &self.common, self.limits)
                .map_err(|why| StartError::Vm { plugin: plugin.name.clone(), why })
        };
        // The base VM does no more than start.
        if !self.bases.contains(&plugin.vm_key()) {
            start()?;
        }
        let vm = start()?;
        self.bases.insert(plugin.vm_key());
        let number = self.keep(vm);
        let started = self.start_root(number, plugin);
        let failure = self.vms.get(&number).and_then(|vm| vm.failure().map(str::to_owned));
        self.forget(number);
        if let Some(why) = failure {
            return Err(StartError::Vm { plugin: plugin.name.clone(), why });
        }
        match started {
            Started::Configured(_) => Ok(()),
            Started::VmRefused => Err(StartError::VmStart(plugin.name.clone())),
            Started::ConfigurationRefused => Err(StartError::Configure(plugin.name.clone())),
        }
    }

    fn keep(&mut self, vm: Vm) -> VmNumber {
        self.next_vm = self.next_vm.saturating_add(1);
        let number = VmNumber(self.next_vm);
        self.vms.insert(number, vm);
        number
    }

    fn forget(&mut self, number: VmNumber) {
        self.vms.remove(&number);
        self.timers.retain(|(vm, _), _| *vm != number);
        self.calls.retain(|(vm, ..), _| *vm != number);
    }

    /// A plugin on a thread: in the VM that others of its key have, if there is one.
    fn load(&mut self, worker: usize, plugin: &Rc<Plugin>) -> Handle {
        let loaded = self.now();
        let nothing = Handle { vm: None, root: 0, loaded };
        let key = plugin.vm_key();
        let known = self.workers.get(worker).and_then(|known| known.local.get(&key)).copied();
        let number = if let Some(number) = known {
            number
        } else {
            let Ok(vm) = Vm::start(plugin, worker, &self.common, self.limits) else {
                return nothing;
            };
            let number = self.keep(vm);
            if let Some(known) = self.workers.get_mut(worker) {
                known.local.insert(key, number);
            }
            number
        };
        let same = self.vms.get(&number).and_then(|vm| {
            vm.state().contexts.iter().find_map(|(id, context)| match context {
                Context::Root(root) if root.plugin.key() == plugin.key() => Some(*id),
                _ => None,
            })
        });
        if let Some(root) = same {
            self.retiring.retain(|retiring| (retiring.vm, retiring.root) != (number, root));
            return Handle { vm: Some(number), root, loaded };
        }
        match self.start_root(number, plugin) {
            Started::Configured(root) => Handle { vm: Some(number), root, loaded },
            Started::VmRefused | Started::ConfigurationRefused => nothing,
        }
    }

    /// Makes a root of a plugin in a VM, and configures it.
    fn start_root(&mut self, number: VmNumber, plugin: &Rc<Plugin>) -> Started {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Some(vm) = self.vms.get_mut(&number) else { return Started::VmRefused };
        let root = vm.add(Context::Root(Box::new(RootContext::new(Rc::clone(plugin)))));
        let created = vm.call("proxy_on_context_create", root, &[root, 0]);
        let says_yes = |vm: &mut Vm, callback, size| {
            let exists = vm.has(callback);
            let called = vm.call(callback, root, &[root, size]);
            let yes = !exists || called.returned.is_some_and(|returned| returned != 0);
            (yes && vm.failure().is_none(), called.actions)
        };
        let vm_size = size(&plugin.vm_configuration);
        let (started, more) = says_yes(vm, "proxy_on_vm_start", vm_size);
        let mut actions = created.actions;
        actions.extend(more);
        let mut configured = false;
        if started {
            if let Some(root) = vm.root_mut(root) {
                root.is_configuring = true;
            }
            let (yes, more) = says_yes(vm, "proxy_on_configure", size(&plugin.configuration));
            configured = yes;
            actions.extend(more);
            if let Some(root) = vm.root_mut(root) {
                root.is_configuring = false;
            }
        }
        self.act(number, actions);
        match (started, configured) {
            (false, _) => Started::VmRefused,
            (true, false) => Started::ConfigurationRefused,
            (true, true) => Started::Configured(root),
        }
    }

    /// The plugin for a new stream: with a new VM if the old one failed and its policy says so.
    /// Nothing if the stream passes without it.
    fn handle(&mut self, worker: usize, name: &str) -> Option<Handle> {
        let plugin = Rc::clone(self.plugins.get(name)?);
        let mut handle = *self.workers.get(worker)?.handles.get(name)?;
        let count = |proxy: &Self, what: &str| {
            proxy.common.borrow_mut().metrics.count(&format!("wasm.{name}.{what}"));
        };
        if self.has_failed(handle.vm)
            && handle.vm.is_some()
            && let FailurePolicy::Reload { backoff } = plugin.failure_policy
        {
            if self.now().saturating_sub(handle.loaded) < backoff {
                count(self, "vm_reload_backoff");
            } else {
                handle = self.load(worker, &plugin);
                let works = !self.has_failed(handle.vm);
                count(self, if works { "vm_reload_success" } else { "vm_reload_failure" });
                if let Some(known) = self.workers.get_mut(worker) {
                    known.handles.insert(name.to_owned(), handle);
                }
            }
        }
        let passes_without =
            self.has_failed(handle.vm) && plugin.failure_policy == FailurePolicy::Open;
        (!passes_without).then_some(handle)
    }

    fn has_failed(&self, vm: Option<VmNumber>) -> bool {
        vm.and_then(|number| self.vms.get(&number)).is_none_or(|vm| vm.failure().is_some())
    }

    // ---- what plugins ask for ----

    /// Does what a plugin asked for, and lets nobody else into a VM that has failed.
    pub(crate) fn act(&mut self, number: VmNumber, actions: Vec<Action>) {
        if self.has_failed(Some(number)) {
            for worker in &mut self.workers {
                worker.local.retain(|_, known| *known != number);
            }
        }
        for action in actions {
            match action {
                Action::Tick { root, period } => self.set_timer(number, root, period),
                Action::Call { kind, root, token, request } => {
                    let call = PendingCall { root, request, is_asked: false };
                    self.calls.insert((number, kind, token), call);
                    if kind != CallKind::Http
                        && let Some(vm) = self.vms.get_mut(&number)
                    {
                        vm.state_mut().grpc_open.insert(token);
                    }
                }
                Action::Cancel { token } => self.calls.retain(|(vm, kind, known), _| {
                    (*vm, *known) != (number, token) || *kind == CallKind::Http
                }),
                Action::QueueReady { worker, vm_key, root, token } => {
                    let now = self.now();
                    self.schedule.at(now, Event::QueueReady { worker, vm_key, root, token });
                }
                Action::Done { root } => self.delete_root(number, root),
                Action::Continue { .. }
                | Action::Reply { .. }
                | Action::Reset { .. }
                | Action::ClearRouteCache { .. } => self.act_on_stream(number, action),
            }
        }
    }

    fn set_timer(&mut self, vm: VmNumber, root: u32, period: Duration) {
        let generation =
            self.timers.get(&(vm, root)).map_or(0, |timer| timer.generation).saturating_add(1);
        self.timers.insert((vm, root), Timer { period, generation });
        self.arm(vm, root);
    }

    fn arm(&mut self, vm: VmNumber, root: u32) {
        if let Some(Timer { period, generation }) = self.timers.get(&(vm, root)).copied()
            && !period.is_zero()
        {
            let time = self.now().saturating_add(period);
            self.schedule.at(time, Event::Tick { vm, root, generation });
        }
    }

    fn call(&mut self, number: VmNumber, callback: &'static str, context: u32, arguments: &[u32]) {
        if let Some(vm) = self.vms.get_mut(&number) {
            let called = vm.call(callback, context, arguments);
            self.act(number, called.actions);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick { vm, root, generation } => {
                let known = self.timers.get(&(vm, root)).map(|timer| timer.generation);
                if known == Some(generation) {
                    self.call(vm, "proxy_on_tick", root, &[root]);
                    // The period begins when the callback ends, unless that set another one.
                    let known = self.timers.get(&(vm, root)).map(|timer| timer.generation);
                    if known == Some(generation) {
                        self.arm(vm, root);
                    }
                }
            }
            Event::QueueReady { worker, vm_key, root, token } => {
                let known = self.workers.get(worker).and_then(|known| known.local.get(&vm_key));
                if let Some(vm) = known.copied() {
                    self.call(vm, "proxy_on_queue_ready", root, &[root, token]);
                }
            }
            Event::Called { vm, kind, token, ending } => {
                // One that was given up is not there any more.
                if let Some(PendingCall { root, .. }) = self.calls.remove(&(vm, kind, token)) {
                    match kind {
                        CallKind::Http => self.called(vm, root, token, ending),
                        CallKind::Grpc => self.grpc_called(vm, root, token, ending),
                        CallKind::GrpcStream => self.grpc_streamed(vm, root, token, ending),
                    }
                }
            }
            Event::Answered { stream, ending } => match ending {
                Ending::Respond(response) => self.respond(StreamNumber(stream), response),
                Ending::Fail(failure) => self.fail(StreamNumber(stream), failure),
                Ending::Cut(response) => self.cut(StreamNumber(stream), response),
            },
        }
        self.bury();
    }

    /// Tells a plugin what came of its call.
    fn called(&mut self, number: VmNumber, root: u32, token: u32, ending: Ending) {
        const BROKEN_CONNECTION: u32 = 11;
        let Some(vm) = self.vms.get_mut(&number) else { return };
        let Some(known) = vm.root_mut(root) else { return };
        // What Envoy's router makes of a failure is a response; only a reset is none.
        let response = match ending {
            Ending::Respond(response) => Some(response),
            Ending::Fail(Failure::Reset) | Ending::Cut(_) => None,
            Ending::Fail(failure) => {
                let LocalReply { status, body, .. } = router_reply(failure);
                let length = body.len().to_string();
                let response = Response::new(status).header("content-length", length);
                Some(response.header("content-type", "text/plain").body(body))
            }
        };
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let [headers, body, trailers] = if let Some(response) = response {
            let Response { status, headers, body, trailers } = response;
            let mut all = Headers::from_iter([(":status", status.to_string())]);
            all.extend(headers.iter().map(|(name, value)| (name.to_owned(), value)));
            let body = body.concat();
            let trailer_count = trailers.as_ref().map_or(0, Headers::len);
            let counts = [count(all.len()), count(body.len()), count(trailer_count)];
            known.call_response = Some(CallResponse { headers: all, body, trailers });
            counts
        } else {
            known.status = (BROKEN_CONNECTION, "reset".into());
            [0, 0, 0]
        };
        self.call(
            number,
            "proxy_on_http_call_response",
            root,
            &[root, token, headers, body, trailers],
        );
        if let Some(known) = self.vms.get_mut(&number).and_then(|vm| vm.root_mut(root)) {
            known.call_response = None;
            known.status.1.clear();
        }
    }

    /// Tells a plugin what came of its gRPC call: a message, or how it ended without one.
    fn grpc_called(&mut self, number: VmNumber, root: u32, token: u32, ending: Ending) {
        let (status, message) = match grpc_ending(ending) {
            (_, (0, _), messages) if messages.len() == 1 => {
                let message = messages.into_iter().next().unwrap_or_default();
                self.close_grpc(number, token);
                return self.grpc_receive(number, root, token, message);
            }
            (_, (0, _), _) => (grpc::INTERNAL, String::new()),
            (_, status, _) => status,
        };
        self.close_grpc(number, token);
        self.grpc_close(number, root, token, status, message);
    }

    /// Tells a plugin what came over its gRPC stream, and how it ended.
    fn grpc_streamed(&mut self, number: VmNumber, root: u32, token: u32, ending: Ending) {
        let (response, (status, message), messages) = grpc_ending(ending);
        let count = |headers: &Headers| u32::try_from(headers.len()).unwrap_or(u32::MAX);
        if let Some(Response { status, headers, .. }) = &response {
            let mut all = Headers::from_iter([(":status", status.to_string())]);
            all.extend(headers.iter().map(|(name, value)| (name.to_owned(), value)));
            let headers = count(&all);
            self.with_root(number, root, |root| root.grpc_initial = Some(all));
            let callback = "proxy_on_grpc_receive_initial_metadata";
            self.call(number, callback, root, &[root, token, headers]);
            self.with_root(number, root, |root| root.grpc_initial = None);
        }
        for message in messages {
            self.grpc_receive(number, root, token, message);
        }
        if let Some(trailers) = response.and_then(|response| response.trailers) {
            let headers = count(&trailers);
            self.with_root(number, root, |root| root.grpc_trailing = Some(trailers));
            let callback = "proxy_on_grpc_receive_trailing_metadata";
            self.call(number, callback, root, &[root, token, headers]);
            self.with_root(number, root, |root| root.grpc_trailing = None);
        }
        self.close_grpc(number, token);
        self.grpc_close(number, root, token, status, message);
    }

    fn with_root(&mut self, vm: VmNumber, root: u32, change: impl FnOnce(&mut RootContext)) {
        if let Some(root) = self.vms.get_mut(&vm).and_then(|vm| vm.root_mut(root)) {
            change(root);
        }
    }

    fn close_grpc(&mut self, number: VmNumber, token: u32) {
        if let Some(vm) = self.vms.get_mut(&number) {
            vm.state_mut().grpc_open.remove(&token);
        }
    }

    fn grpc_receive(&mut self, number: VmNumber, root: u32, token: u32, message: Vec<u8>) {
        let size = u32::try_from(message.len()).unwrap_or(u32::MAX);
        self.with_root(number, root, |root| root.grpc_message = Some(message));
        self.call(number, "proxy_on_grpc_receive", root, &[root, token, size]);
        self.with_root(number, root, |root| root.grpc_message = None);
    }

    fn grpc_close(
        &mut self,
        number: VmNumber,
        root: u32,
        token: u32,
        status: u32,
        message: String,
    ) {
        self.with_root(number, root, |root| root.status = (status, message));
        self.call(number, "proxy_on_grpc_close", root, &[root, token, status]);
        self.with_root(number, root, |root| root.status.1.clear());
    }

    // ---- streams ----

    /// Opens a stream with a request, which passes the filters as far as it can. What stands behind
    /// is not asked; see [`Self::waiting`].
    pub fn open(&mut self, request: Request) -> StreamNumber {
        let worker = request.worker.unwrap_or_else(|| self.take_turn());
        let worker = worker.clamp(1, self.workers.len().saturating_sub(1).max(1));
        self.next_stream = self.next_stream.saturating_add(1);
        let id = self.next_stream;
        let listener = self.listeners.get(&request.listener).or_else(|| {
            // Without a name it is the only one.
            self.listeners.values().next().filter(|_| request.listener.is_empty())
        });
        let names = listener.map(|listener| listener.plugins.clone()).unwrap_or_default();
        let Request { headers, body, trailers, attributes, metadata, answered, .. } = request;
        let is_head = headers.get(":method") == Some(b"HEAD");
        let kind =
            headers.get("content-type").and_then(|kind| kind.strip_prefix(b"application/grpc"));
        let is_grpc = kind.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"));
        let (started_unix_ns, began) = {
            let clock = &self.common.borrow().clock;
            (clock.unix_ns(), clock.now())
        };
        let state = StreamState {
            request: Message { headers: Some(headers), ..Message::default() },
            info: Info {
                attributes,
                metadata: metadata.into_iter().collect(),
                connection_id: id,
                started_unix_ns,
                ..Info::default()
            },
            ..StreamState::default()
        };
        let state = Rc::new(RefCell::new(state));
        let marks = self.marks();
        let mut filters = Vec::new();
        for name in names {
            if let Some(handle) = self.handle(worker, &name) {
                filters.push(self.filter(&name, handle, id, &state));
            }
        }
        let stream = Stream {
            filters,
            state,
            is_complete: [false, false],
            calling: [0, 0],
            is_aborted: [false, false],
            prepared: None,
            response_has_begun: false,
            is_local: false,
            is_head,
            is_grpc,
            client: Delivered::default(),
            upstream: Sent::default(),
            has_ended: false,
            was_reset: false,
            began,
            marks,
        };
        self.streams.insert(id, stream);
        self.find_route(id);
        if let Some((status, body)) = answered {
            let details = "answered_before".to_owned();
            let headers = Vec::new();
            self.reply(id, LocalReply { status, details, body, headers, grpc_status: -1 });
        } else {
            let is_bare = body.is_empty() && trailers.is_none();
            self.pass(id, Direction::Request, body, trailers, is_bare);
        }
        self.bury();
        StreamNumber(id)
    }

    fn take_turn(&mut self) -> usize {
        let workers = self.workers.len().saturating_sub(1).max(1);
        let turn = self.next_worker.checked_rem(workers).unwrap_or(0);
        self.next_worker = self.next_worker.wrapping_add(1);
        turn.saturating_add(1)
    }

    fn filter(
        &mut self,
        name: &str,
        handle: Handle,
        stream: u64,
        state: &Rc<RefCell<StreamState>>,
    ) -> Filter {
        let context = handle.vm.and_then(|number| {
            let context = StreamContext {
                root: handle.root,
                stream,
                state: Rc::clone(state),
                view: View::default(),
                is_attached: true,
                has_replied: false,
            };
            Some(self.vms.get_mut(&number)?.add(Context::Stream(context)))
        });
        let allow =
            self.plugins.get(name).is_some_and(|plugin| plugin.allow_on_headers_stop_iteration);
        Filter {
            vm: handle.vm,
            context: context.unwrap_or_default(),
            is_created: false,
            has_started: false,
            has_failed: false,
            allow_stop_iteration: allow,
            is_buffering: [false, false],
            flows: [crate::stream::FilterFlow::default(); 2],
        }
    }

    /// A message comes into the proxy, frame by frame, and the last one ends it.
    fn pass(
        &mut self,
        id: u64,
        direction: Direction,
        body: Vec<Vec<u8>>,
        trailers: Option<Headers>,
        is_bare: bool,
    ) {
        self.mark_complete(id, direction, is_bare);
        self.pass_headers(id, direction, 0, is_bare);
        let parts = body.len();
        for (part, chunk) in (1..).zip(body) {
            let is_last = part == parts && trailers.is_none();
            if !self.may_pass(id, direction) {
                return;
            }
            self.mark_complete(id, direction, is_last);
            self.put_chunk(id, direction, chunk);
            self.pass_data(id, direction, 0, is_last);
        }
        if let Some(trailers) = trailers
            && self.may_pass(id, direction)
        {
            if let Some(stream) = self.streams.get(&id) {
                let mut state = stream.state.borrow_mut();
                match direction {
                    Direction::Request => state.request.trailers = Some(trailers),
                    Direction::Response => state.response.trailers = Some(trailers),
                }
            }
            self.mark_complete(id, direction, true);
            self.pass_trailers(id, direction, 0);
        }
    }

    /// Headers and parts of a body, none of which is the last.
    fn pass_part(&mut self, id: u64, direction: Direction, body: Vec<Vec<u8>>) {
        self.pass_headers(id, direction, 0, false);
        for chunk in body.into_iter().filter(|chunk| !chunk.is_empty()) {
            if !self.may_pass(id, direction) {
                return;
            }
            self.put_chunk(id, direction, chunk);
            self.pass_data(id, direction, 0, false);
        }
    }

    fn put_chunk(&mut self, id: u64, direction: Direction, chunk: Vec<u8>) {
        let Some(stream) = self.streams.get(&id) else { return };
        let mut state = stream.state.borrow_mut();
        let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        match direction {
            Direction::Request => {
                state.info.request_bytes = state.info.request_bytes.saturating_add(bytes);
                state.request.chunk = chunk;
            }
            Direction::Response => state.response.chunk = chunk,
        }
    }

    fn may_pass(&self, id: u64, direction: Direction) -> bool {
        self.streams.get(&id).is_some_and(|stream| {
            let is_replaced = direction == Direction::Response && stream.is_local;
            let is_over = stream.has_ended || Stream::is(stream.is_aborted, direction);
            !is_over && !is_replaced
        })
    }

    fn mark_complete(&mut self, id: u64, direction: Direction, is_complete: bool) {
        let stream = self.streams.get_mut(&id);
        if let Some(flag) = stream.and_then(|stream| stream.is_complete.get_mut(place(direction))) {
            *flag |= is_complete;
        }
    }

    /// What the upstream got, if all of the request is there and no answer was given.
    pub fn waiting(&self, stream: StreamNumber) -> Option<&Incoming> {
        let stream = self.streams.get(&stream.0)?;
        let waits = !stream.response_has_begun && !stream.has_ended;
        stream.upstream.incoming.as_ref().filter(|sent| waits && sent.is_complete)
    }

    /// Whether a stream is over.
    pub fn has_ended(&self, stream: StreamNumber) -> bool {
        self.streams.get(&stream.0).is_none_or(|stream| stream.has_ended)
    }

    /// The upstream responds.
    pub fn respond(&mut self, stream: StreamNumber, response: Response) {
        let Response { status, headers, body, trailers } = response;
        if self.begin_response(stream.0, status, &headers) {
            let is_bare = body.is_empty() && trailers.is_none();
            self.pass(stream.0, Direction::Response, body, trailers, is_bare);
            self.bury();
        }
    }

    /// The upstream begins to respond, and the connection breaks before the end.
    pub fn cut(&mut self, stream: StreamNumber, response: Response) {
        let Response { status, headers, mut body, .. } = response;
        if self.begin_response(stream.0, status, &headers) {
            // No part is the last one.
            body.push(Vec::new());
            self.pass_part(stream.0, Direction::Response, body);
            self.reset(stream.0, "upstream_reset_after_response_started{connection_termination}");
            self.bury();
        }
    }

    fn begin_response(&mut self, id: u64, status: u16, headers: &Headers) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        if stream.has_ended || stream.response_has_begun {
            return false;
        }
        stream.response_has_begun = true;
        {
            let mut state = stream.state.borrow_mut();
            let mut all = Headers::from_iter([(":status", status.to_string())]);
            all.extend(headers.iter().map(|(name, value)| (name.to_owned(), value)));
            state.response.headers = Some(all);
            state.route_is_blocked = true;
            state.info.details = Some("via_upstream".into());
            state.info.code = Some(status);
            let cluster = stream.upstream.incoming.as_ref().map(|sent| sent.cluster.clone());
            state.info.upstream = cluster;
        }
        true
    }

    /// The upstream fails before it responds.
    pub fn fail(&mut self, stream: StreamNumber, failure: Failure) {
        let id = stream.0;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.has_ended || stream.response_has_begun {
            return;
        }
        {
            let mut state = stream.state.borrow_mut();
            state.info.flags |= flag(failure);
            if failure != Failure::NoHealthyHost {
                let cluster = stream.upstream.incoming.as_ref().map(|sent| sent.cluster.clone());
                state.info.upstream = cluster;
            }
        }
        self.reply(id, router_reply(failure));
        self.bury();
    }

    /// A stream is over: its plugins are told once nobody is in a callback for it.
    pub(crate) fn end(&mut self, id: u64) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.has_ended = true;
        }
    }

    /// Tells plugins of what is over: logs first, in order, then the ends.
    fn bury(&mut self) {
        let over: Vec<u64> = self
            .streams
            .iter()
            .filter(|(_, stream)| {
                stream.has_ended && stream.filters.iter().any(|filter| filter.context != 0)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            self.bury_stream(id);
        }
        let retiring = std::mem::take(&mut self.retiring);
        for Retiring { vm, root } in retiring {
            let is_used = self.vms.get(&vm).is_some_and(|vm| {
                vm.state().contexts.values().any(
                    |context| matches!(context, Context::Stream(stream) if stream.root == root),
                )
            });
            if is_used {
                self.retiring.push(Retiring { vm, root });
            } else {
                self.retire(vm, root);
            }
        }
    }

    fn bury_stream(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let took = self.common.borrow().clock.now().saturating_sub(stream.began);
        stream.state.borrow_mut().info.ended_after = Some(took);
        let filters: Vec<(Option<VmNumber>, u32)> =
            stream.filters.iter().map(|filter| (filter.vm, filter.context)).collect();
        for (index, (vm, context)) in filters.iter().enumerate() {
            let Some(number) = *vm else { continue };
            self.create(id, index);
            self.set_log_view(number, *context, true);
            self.call(number, "proxy_on_log", *context, &[*context]);
            self.set_log_view(number, *context, false);
        }
        for (vm, context) in filters {
            let Some(number) = vm else { continue };
            self.call(number, "proxy_on_done", context, &[context]);
            self.call(number, "proxy_on_delete", context, &[context]);
            if let Some(vm) = self.vms.get_mut(&number) {
                vm.state_mut().contexts.remove(&context);
            }
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.filters.clear();
        }
    }

    fn set_log_view(&mut self, number: VmNumber, context: u32, log: bool) {
        let stream = self.vms.get_mut(&number).and_then(|vm| vm.stream_mut(context));
        if let Some(stream) = stream {
            stream.view = View { log, ..View::default() };
        }
    }

    /// Tells a root that it is no longer wanted.
    fn retire(&mut self, number: VmNumber, root: u32) {
        let Some(vm) = self.vms.get_mut(&number) else { return };
        let exists = vm.has("proxy_on_done");
        let called = vm.call("proxy_on_done", root, &[root]);
        let is_done = !exists || called.returned.is_none_or(|returned| returned != 0);
        if !is_done {
            vm.state_mut().pending_done.push(root);
        }
        self.act(number, called.actions);
        if is_done {
            self.delete_root(number, root);
        }
    }

    fn delete_root(&mut self, number: VmNumber, root: u32) {
        self.call(number, "proxy_on_delete", root, &[root]);
        if let Some(vm) = self.vms.get_mut(&number) {
            vm.state_mut().contexts.remove(&root);
        }
        self.timers.remove(&(number, root));
    }

    // ---- time ----

    /// The time since the start, by the virtual clock.
    pub fn now(&self) -> Duration {
        self.common.borrow().clock.now()
    }

    /// Sends a request and waits for what comes of it, asking services where they are needed. The
    /// clock moves only as far as somebody waits for it.
    ///
    /// # Errors
    /// A hostcall that was not expected, in a proxy that is strict.
    pub async fn request(&mut self, request: Request) -> Result<Outcome, Unexpected> {
        let stream = self.open(request);
        self.finish(stream).await
    }

    /// Opens a stream whose services are asked as time passes, whoever waits for what.
    pub fn begin(&mut self, request: Request) -> StreamNumber {
        let number = self.open(request);
        self.drive(number);
        number
    }

    fn drive(&mut self, number: StreamNumber) {
        if let Some(stream) = self.streams.get_mut(&number.0) {
            stream.upstream.is_driven = true;
        }
    }

    /// Waits for what comes of a stream that is open.
    ///
    /// # Errors
    /// A hostcall that was not expected, in a proxy that is strict.
    pub async fn finish(&mut self, stream: StreamNumber) -> Result<Outcome, Unexpected> {
        self.drive(stream);
        let until = self.now().saturating_add(self.patience);
        loop {
            self.ask_services().await;
            if self.has_ended(stream) || !self.step(until) {
                break;
            }
        }
        let outcome = self.close(stream);
        match outcome.unexpected.first() {
            Some(call) => Err(Unexpected(call.clone())),
            None => Ok(outcome),
        }
    }

    /// The same as [`Self::request`] for who is not async.
    ///
    /// # Errors
    /// A hostcall that was not expected, in a proxy that is strict.
    pub fn send(&mut self, request: Request) -> Result<Outcome, Unexpected> {
        block_on(self.request(request))
    }

    /// Lets time pass: ticks, answers to calls, whatever is due.
    pub async fn advance(&mut self, time: Duration) {
        let until = self.now().saturating_add(time);
        loop {
            self.ask_services().await;
            if !self.step(until) {
                break;
            }
        }
        self.common.borrow_mut().clock.advance_to(until);
    }

    /// The same as [`Self::advance`] for who is not async.
    pub fn wait(&mut self, time: Duration) {
        block_on(self.advance(time));
    }

    /// The next thing happens, if it is due by then.
    fn step(&mut self, until: Duration) -> bool {
        let Some((time, event)) = self.schedule.next(until) else { return false };
        self.common.borrow_mut().clock.advance_to(time);
        self.happen(event);
        true
    }

    /// Asks everybody who was not asked yet.
    async fn ask_services(&mut self) {
        self.ask_about_calls().await;
        let driven = self.streams.iter().filter(|(_, stream)| stream.upstream.is_driven);
        let driven: Vec<u64> = driven.map(|(id, _)| *id).collect();
        for id in driven {
            self.ask_upstream(id).await;
        }
    }

    async fn ask_upstream(&mut self, id: u64) {
        let Some(incoming) = self.waiting(StreamNumber(id)).cloned() else { return };
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if std::mem::replace(&mut stream.upstream.is_asked, true) {
            return;
        }
        let Some(service) = self.services.get(&incoming.cluster).cloned() else { return };
        let Some((after, ending)) = service.answer(incoming).await.ending() else { return };
        let time = self.now().saturating_add(after);
        self.schedule.at(time, Event::Answered { stream: id, ending });
    }

    async fn ask_about_calls(&mut self) {
        loop {
            let next = self.calls.iter_mut().find(|(_, call)| !call.is_asked);
            let Some(((vm, kind, token), call)) = next else { return };
            call.is_asked = true;
            let (vm, kind, token) = (*vm, *kind, *token);
            let CallRequest { cluster, headers, body, trailers, timeout } = call.request.clone();
            let trailers = (!trailers.is_empty()).then_some(trailers);
            let Some(service) = self.services.get(&cluster).cloned() else { continue };
            let is_bare = body.is_empty() && trailers.is_none();
            let incoming =
                Incoming { cluster, headers, body, trailers, is_complete: true, is_bare };
            let answered = service.answer(incoming).await.ending();
            let timed_out = timeout.map(|timeout| (timeout, Ending::Fail(Failure::Timeout)));
            let first = answered.into_iter().chain(timed_out).min_by_key(|(after, _)| *after);
            if let Some((after, ending)) = first {
                let time = self.now().saturating_add(after);
                self.schedule.at(time, Event::Called { vm, kind, token, ending });
            }
        }
    }

    /// Ends a stream, as a client does that goes away, and tells what came of it.
    pub fn close(&mut self, stream: StreamNumber) -> Outcome {
        let id = stream.0;
        let was_over = self.has_ended(stream);
        if !was_over {
            if let Some(stream) = self.streams.get(&id) {
                let info = &mut stream.state.borrow_mut().info;
                info.flags |= DOWNSTREAM_GONE;
                info.details = Some("downstream_remote_disconnect".into());
            }
            self.end(id);
        }
        self.bury();
        let Some(stream) = self.streams.remove(&id) else { return self.nothing() };
        let (logs, trace, unexpected) = self.since(stream.marks);
        let state = stream.state.borrow();
        let mut headers = stream.client.headers.clone().unwrap_or_default();
        let status = headers.text(":status").and_then(|status| status.parse().ok());
        headers.remove(":status");
        let ended = match (was_over, stream.was_reset) {
            (true, false) => Ended::Complete,
            (true, true) => Ended::Reset,
            (false, _) => Ended::Hung,
        };
        Outcome {
            ended,
            status: status.unwrap_or_default(),
            headers,
            body: stream.client.body.clone(),
            trailers: stream.client.trailers.clone(),
            is_bare: stream.client.is_bare,
            local_reply: state.info.details.clone().filter(|_| stream.is_local),
            details: state.info.details.clone(),
            flags: state.info.flags,
            route: state.info.route.as_ref().map(|route| route.name.clone()),
            cluster: stream.upstream.incoming.as_ref().map(|sent| sent.cluster.clone()),
            upstream: stream.upstream.incoming.clone(),
            logs,
            trace,
            unexpected,
            took: self.now().saturating_sub(stream.began),
            filter_state: state.info.filter_state.clone(),
        }
    }

    /// What came of a stream that was closed before.
    fn nothing(&self) -> Outcome {
        let (logs, trace, unexpected) = self.since(self.marks());
        Outcome {
            ended: Ended::Hung,
            status: 0,
            headers: Headers::new(),
            body: Vec::new(),
            trailers: None,
            is_bare: true,
            local_reply: None,
            details: None,
            flags: 0,
            route: None,
            cluster: None,
            upstream: None,
            logs,
            trace,
            unexpected,
            took: Duration::ZERO,
            filter_state: BTreeMap::new(),
        }
    }

    fn marks(&self) -> [usize; 4] {
        let common = self.common.borrow();
        [
            common.logs.len(),
            common.trace.callbacks.len(),
            common.trace.hostcalls.len(),
            common.unexpected.len(),
        ]
    }

    fn since(&self, marks: [usize; 4]) -> (Vec<LogLine>, Trace, Vec<HostCall>) {
        fn tail<T: Clone>(all: &[T], from: usize) -> Vec<T> {
            all.get(from..).unwrap_or_default().to_vec()
        }
        let [logs, callbacks, hostcalls, unexpected] = marks;
        let common = self.common.borrow();
        let trace = Trace {
            callbacks: tail(&common.trace.callbacks, callbacks),
            hostcalls: tail(&common.trace.hostcalls, hostcalls),
        };
        (tail(&common.logs, logs), trace, tail(&common.unexpected, unexpected))
    }

    // ---- what there is to see ----

    /// Everything that was logged since the start.
    pub fn logs(&self) -> Vec<LogLine> {
        self.common.borrow().logs.clone()
    }

    /// Everything that plugins did since the start.
    pub fn trace(&self) -> Trace {
        self.common.borrow().trace.clone()
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

/// What an answer is to gRPC: the response, how it ended, and the messages.
fn grpc_ending(ending: Ending) -> (Option<Response>, (u32, String), Vec<Vec<u8>>) {
    match ending {
        Ending::Respond(response) => match grpc::messages(&response.body.concat()) {
            Some(messages) => {
                let status = grpc::status(&response);
                (Some(response), status, messages)
            }
            None => (Some(response), (grpc::INTERNAL, String::new()), Vec::new()),
        },
        Ending::Cut(_) => (None, grpc::failed(Failure::Reset), Vec::new()),
        Ending::Fail(failure) => (None, grpc::failed(failure), Vec::new()),
    }
}

/// What came of making a root.
enum Started {
    Configured(u32),
    VmRefused,
    ConfigurationRefused,
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

/// Wakes a thread.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut waiting = Waiting::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut waiting) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

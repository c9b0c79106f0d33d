//! One VM: an instance of a module, its contexts, and calls into it.

use crate::common::Common;
use crate::context::{Context, RootContext, StreamContext};
use crate::hostcalls::{self, Restriction};
use crate::metrics::VmMetrics;
use crate::plugin::Plugin;
use crate::proxy::Limits;
use crate::trace::{CallSite, Callback};
use crate::{Direction, Headers, LogLevel};
use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;
use wasmtime::{
    Extern, ExternType, Func, Instance, Linker, Memory, ResourceLimiter, Store, Table, Trap, Val,
    WasmBacktrace,
};

/// The context that stands for the VM itself.
pub(crate) const VM_CONTEXT: u32 = 0;

/// An answer that a plugin gives instead of the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalReply {
    pub(crate) status: u16,
    pub(crate) details: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Negative for none.
    pub(crate) grpc_status: i32,
}

/// A request that a plugin sends on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRequest {
    /// The cluster that it goes to.
    pub cluster: String,
    /// Headers, pseudo-headers among them.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Headers,
    /// How long the plugin waits; without end if absent.
    pub timeout: Option<Duration>,
}

/// What a plugin expects of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CallKind {
    Http,
    Grpc,
    GrpcStream,
}

/// What a plugin asked for that happens once its callback has returned: Envoy calls no plugin from
/// within a call of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Continue {
        context: u32,
        direction: Direction,
    },
    Reply {
        context: u32,
        reply: LocalReply,
    },
    Reset {
        context: u32,
    },
    Call {
        kind: CallKind,
        root: u32,
        token: u32,
        request: CallRequest,
    },
    /// Of gRPC; HTTP calls cannot be given up.
    Cancel {
        token: u32,
    },
    Tick {
        root: u32,
        period: Duration,
    },
    QueueReady {
        worker: usize,
        vm_key: String,
        root: u32,
        token: u32,
    },
    /// A root that wanted to live on is done now.
    Done {
        root: u32,
    },
    ClearRouteCache {
        context: u32,
    },
}

/// How much memory a guest has, and may have.
#[derive(Debug)]
pub(crate) struct MemoryLimit {
    pub(crate) bytes_max: usize,
    pub(crate) bytes: usize,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current).saturating_mul(ELEMENT_BYTES)))
    }
}

/// What an element of a table takes.
const ELEMENT_BYTES: usize = 16;

impl MemoryLimit {
    /// Whether so many bytes more are within the limit, which is one for everything of a VM.
    fn grow(&mut self, more: usize) -> bool {
        let bytes = self.bytes.saturating_add(more);
        let fits = bytes <= self.bytes_max;
        if fits {
            self.bytes = bytes;
        }
        fits
    }
}

/// What belongs to a VM, for its hostcalls.
#[derive(Debug)]
pub(crate) struct VmState {
    common: Rc<RefCell<Common>>,
    pub(crate) worker: usize,
    pub(crate) vm_id: String,
    pub(crate) vm_key: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) contexts: BTreeMap<u32, Context>,
    next_context: u32,
    /// The context whose callback is running.
    pub(crate) current: u32,
    /// The one that hostcalls are for instead, unless it is 0.
    pub(crate) effective: u32,
    pub(crate) site: CallSite,
    pub(crate) actions: Vec<Action>,
    /// The callback answered: what it returns does not count.
    pub(crate) is_stopped: bool,
    pub(crate) restriction: Restriction,
    pub(crate) metrics: VmMetrics,
    pub(crate) memory: Option<Memory>,
    pub(crate) malloc: Option<Func>,
    pub(crate) limit: MemoryLimit,
    next_call: u32,
    next_grpc: u32,
    /// Streams of gRPC whose side of the plugin is open, with their roots.
    pub(crate) grpc_streams: BTreeMap<u32, (u32, CallRequest)>,
    /// Calls and streams of gRPC that wait for an answer.
    pub(crate) grpc_open: BTreeSet<u32>,
    /// Roots that wanted to live on when they were told to end.
    pub(crate) pending_done: Vec<u32>,
}

impl VmState {
    pub(crate) fn common(&self) -> RefMut<'_, Common> {
        self.common.borrow_mut()
    }

    /// The number of the context that hostcalls are for.
    pub(crate) fn subject(&self) -> u32 {
        let is_known = self.contexts.contains_key(&self.effective);
        if self.effective != 0 && is_known { self.effective } else { self.current }
    }

    /// The stream that hostcalls are for.
    pub(crate) fn stream(&self) -> Option<&StreamContext> {
        match self.contexts.get(&self.subject()) {
            Some(Context::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    pub(crate) fn stream_mut(&mut self) -> Option<&mut StreamContext> {
        let subject = self.subject();
        match self.contexts.get_mut(&subject) {
            Some(Context::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    /// The number of the root of the context that hostcalls are for.
    pub(crate) fn root_id(&self) -> u32 {
        let subject = self.subject();
        match self.contexts.get(&subject) {
            Some(Context::Stream(stream)) => stream.root,
            _ => subject,
        }
    }

    pub(crate) fn root(&self) -> Option<&RootContext> {
        match self.contexts.get(&self.root_id()) {
            Some(Context::Root(root)) => Some(root),
            _ => None,
        }
    }

    pub(crate) fn root_mut(&mut self) -> Option<&mut RootContext> {
        let root = self.root_id();
        match self.contexts.get_mut(&root) {
            Some(Context::Root(root)) => Some(root),
            _ => None,
        }
    }

    pub(crate) fn plugin(&self) -> Option<&Rc<Plugin>> {
        self.root().map(|root| &root.plugin)
    }

    pub(crate) fn log(&self, level: LogLevel, message: &str) {
        let prefix = self.plugin().map(|plugin| plugin.log_prefix(self.stream().is_some()));
        self.common().log(self.worker, level, Some(prefix.unwrap_or_default()), message);
    }

    /// A number for a call of the plugin's.
    pub(crate) fn next_call(&mut self) -> u32 {
        self.next_call = self.next_call.checked_add(1).unwrap_or(1);
        self.next_call
    }

    /// A number for a call or a stream of gRPC: odd or even.
    pub(crate) fn next_grpc(&mut self, is_call: bool) -> u32 {
        self.next_grpc = self.next_grpc.saturating_add(2);
        let even = self.next_grpc;
        if is_call { even.saturating_sub(1) } else { even }
    }
}

/// What came of a call into a VM.
#[derive(Debug)]
pub(crate) struct Called {
    /// What the callback returned; nothing where it returns nothing, does not exist, or failed.
    pub(crate) returned: Option<u32>,
    /// Whether the callback answered, so that what it returned does not count.
    pub(crate) is_stopped: bool,
    pub(crate) actions: Vec<Action>,
}

/// A VM.
pub(crate) struct Vm {
    store: Store<VmState>,
    instance: Instance,
    failed: Option<String>,
    fuel_max: u64,
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vm").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Vm {
    /// Makes a VM for a plugin and runs what a module runs before anything else.
    ///
    /// # Errors
    /// Why it could not be made: a trap, or more memory than it may have.
    pub(crate) fn start(
        plugin: &Plugin,
        worker: usize,
        common: &Rc<RefCell<Common>>,
        limits: Limits,
    ) -> Result<Self, String> {
        let module = plugin.code.module();
        let site = CallSite { worker, callback: "_initialize", context: VM_CONTEXT };
        let state = VmState {
            common: Rc::clone(common),
            worker,
            vm_id: plugin.vm_id.clone(),
            vm_key: plugin.vm_key(),
            env: plugin.env.clone(),
            vm_configuration: plugin.vm_configuration.clone(),
            contexts: BTreeMap::new(),
            next_context: 1,
            current: VM_CONTEXT,
            effective: 0,
            site,
            actions: Vec::new(),
            is_stopped: false,
            restriction: Restriction::None,
            metrics: VmMetrics::default(),
            memory: None,
            malloc: None,
            limit: MemoryLimit { bytes_max: limits.memory_bytes, bytes: 0 },
            next_call: 0,
            next_grpc: 0,
            grpc_streams: BTreeMap::new(),
            grpc_open: BTreeSet::new(),
            pending_done: Vec::new(),
        };
        let mut store = Store::new(module.engine(), state);
        store.limiter(|state| &mut state.limit);
        let refused = |error: wasmtime::Error| format!("{error:#}");
        store.set_fuel(limits.fuel_per_callback).map_err(refused)?;
        let mut linker = Linker::new(module.engine());
        hostcalls::link(&mut linker, plugin.code.abi()).map_err(refused)?;
        let imported = own(&mut store, &mut linker, plugin).map_err(refused)?;
        store.data_mut().restriction = Restriction::Instantiating;
        let instance = linker.instantiate(&mut store, module).map_err(|error| explain(&error))?;
        store.data_mut().restriction = Restriction::None;
        // Of several memories the host sees the one that is exported last.
        let exports: Vec<_> = module.exports().collect();
        let memory = exports.iter().rev().find_map(|export| match export.ty() {
            ExternType::Memory(_) => instance.get_memory(&mut store, export.name()),
            _ => None,
        });
        let malloc = instance.get_func(&mut store, "malloc");
        let malloc = malloc.or_else(|| instance.get_func(&mut store, "proxy_on_memory_allocate"));
        store.data_mut().memory = memory.or(imported);
        store.data_mut().malloc = malloc;
        let mut vm = Self { store, instance, failed: None, fuel_max: limits.fuel_per_callback };
        vm.initialize();
        match vm.failed {
            Some(why) => Err(why),
            None => Ok(vm),
        }
    }

    /// A reactor has `_initialize`, and maybe a main function; a command has `_start`.
    fn initialize(&mut self) {
        self.store.data_mut().restriction = Restriction::Initializing;
        if self.has("_initialize") {
            self.call("_initialize", VM_CONTEXT, &[]);
            if self.has("main") {
                self.call("main", VM_CONTEXT, &[0, 0]);
            } else {
                self.call("__main_void", VM_CONTEXT, &[]);
            }
        } else {
            self.call("_start", VM_CONTEXT, &[]);
        }
        self.store.data_mut().restriction = Restriction::None;
    }

    pub(crate) fn has(&mut self, callback: &str) -> bool {
        self.instance.get_func(&mut self.store, callback).is_some()
    }

    /// Why the VM is no good any more.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    pub(crate) fn state(&self) -> &VmState {
        self.store.data()
    }

    pub(crate) fn state_mut(&mut self) -> &mut VmState {
        self.store.data_mut()
    }

    /// Adds a context.
    pub(crate) fn add(&mut self, context: Context) -> u32 {
        let state = self.state_mut();
        let number = state.next_context;
        state.next_context = state.next_context.saturating_add(1);
        state.contexts.insert(number, context);
        number
    }

    pub(crate) fn stream_mut(&mut self, context: u32) -> Option<&mut StreamContext> {
        match self.state_mut().contexts.get_mut(&context) {
            Some(Context::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    pub(crate) fn root_mut(&mut self, context: u32) -> Option<&mut RootContext> {
        match self.state_mut().contexts.get_mut(&context) {
            Some(Context::Root(root)) => Some(root),
            _ => None,
        }
    }

    /// Calls an export for a context. One that the module lacks is skipped, and so is every one
    /// after the VM has failed.
    pub(crate) fn call(
        &mut self,
        callback: &'static str,
        context: u32,
        arguments: &[u32],
    ) -> Called {
        if self.failed.is_some() {
            return Called { returned: None, is_stopped: false, actions: Vec::new() };
        }
        self.call_anyway(callback, context, arguments)
    }

    /// The same, even after the VM has failed, which is what Envoy does while it starts one.
    pub(crate) fn call_anyway(
        &mut self,
        callback: &'static str,
        context: u32,
        arguments: &[u32],
    ) -> Called {
        let mut called = Called { returned: None, is_stopped: false, actions: Vec::new() };
        let Some(function) = self.instance.get_func(&mut self.store, callback) else {
            return called;
        };
        let worker = self.state().worker;
        let site = CallSite { worker, callback, context };
        let state = self.state_mut();
        state.current = context;
        state.effective = 0;
        state.site = site.clone();
        let params: Vec<Val> =
            arguments.iter().map(|argument| Val::I32(argument.cast_signed())).collect();
        let returns = function.ty(&self.store).results().len();
        let mut results = vec![Val::I32(0); returns];
        let result = self
            .store
            .set_fuel(self.fuel_max)
            .and_then(|()| function.call(&mut self.store, &params, &mut results));
        let fuel = self.fuel_max.saturating_sub(self.store.get_fuel().unwrap_or_default());
        let trap = result.err().map(|error| explain(&error));
        if trap.is_none() {
            called.returned = results.first().and_then(Val::i32).map(i32::cast_unsigned);
        }
        let state = self.state_mut();
        called.is_stopped = std::mem::take(&mut state.is_stopped);
        called.actions = std::mem::take(&mut state.actions);
        state.current = VM_CONTEXT;
        state.effective = 0;
        let returned = called.returned;
        state.common().trace.callbacks.push(Callback { site, returned, fuel, trap: trap.clone() });
        if let Some(why) = trap {
            let message = format!("Function: {callback} failed: {why}");
            state.common().log(worker, LogLevel::Error, None, &message);
            self.failed = Some(message);
        }
        called
    }

    /// The bytes of the guest's memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.state().limit.bytes
    }
}

/// A trap in the words of V8, with the functions that were running.
fn explain(error: &wasmtime::Error) -> String {
    let reason = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => "the callback used up its fuel".to_owned(),
        Some(trap) => in_v8(*trap),
        None => format!("Uncaught Error: {}", error.root_cause()),
    };
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return reason };
    let frames = backtrace.frames().iter().enumerate().map(|(place, frame)| {
        let index = frame.func_index();
        let unknown = format!("unknown(function index:{index})");
        let name = frame.func_name().map_or(unknown, str::to_owned);
        format!("\n  {place}:  {:#x} - {name}", frame.module_offset().unwrap_or_default())
    });
    let frames: String = frames.collect();
    if frames.is_empty() {
        return reason;
    }
    format!("{reason}\nProxy-Wasm plugin in-VM backtrace:{frames}")
}

/// What V8 says of a trap.
fn in_v8(trap: Trap) -> String {
    let what = match trap {
        Trap::UnreachableCodeReached => "unreachable",
        Trap::MemoryOutOfBounds | Trap::HeapMisaligned => "memory access out of bounds",
        Trap::TableOutOfBounds => "table index is out of bounds",
        Trap::IndirectCallToNull | Trap::BadSignature => {
            "null function or function signature mismatch"
        }
        Trap::IntegerDivisionByZero => "divide by zero",
        Trap::IntegerOverflow => "divide result unrepresentable",
        Trap::BadConversionToInteger => "float unrepresentable in integer range",
        Trap::StackOverflow => {
            return "Uncaught RangeError: Maximum call stack size exceeded".into();
        }
        other => return format!("Uncaught RuntimeError: {other}"),
    };
    format!("Uncaught RuntimeError: {what}")
}

/// Makes the memory and the tables that a module imports instead of having them.
fn own(
    store: &mut Store<VmState>,
    linker: &mut Linker<VmState>,
    plugin: &Plugin,
) -> wasmtime::Result<Option<Memory>> {
    let mut memory = None;
    for import in plugin.code.module().imports() {
        let made = match import.ty() {
            ExternType::Memory(ty) => {
                let made = Memory::new(&mut *store, ty)?;
                memory = Some(made);
                Extern::Memory(made)
            }
            ExternType::Table(ty) => {
                let null = wasmtime::Ref::null(ty.element().heap_type());
                Extern::Table(Table::new(&mut *store, ty, null)?)
            }
            _ => continue,
        };
        linker.define(&mut *store, import.module(), import.name(), made)?;
    }
    Ok(memory)
}

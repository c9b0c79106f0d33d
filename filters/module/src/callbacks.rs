//! The callbacks of proxy-wasm ABI 0.2.1, and the contexts that Envoy calls them for.
//!
//! The SDK has a dispatcher for them. It hands over the answer to a call only where its own function
//! has sent that call, which panics on a status that it does not expect, and it panics when it is
//! called for a context that it does not know. Here what is not known is passed over, and what would
//! go on because of that waits.
#![expect(
    unsafe_code,
    reason = "a callback is a symbol that the host looks for; nothing here is unsafe but their names \
              and the constructors of the module"
)]

use crate::abi::{self, Level};
use crate::plugin::{Http, Root};
use guard::Flow;
use hashbrown::HashMap;
use std::cell::RefCell;

/// The contexts of this VM, by the numbers that Envoy gives them.
#[derive(Default)]
struct Contexts {
    roots: HashMap<u32, Root>,
    streams: HashMap<u32, Http>,
    /// The streams that wait for region state.
    waiting: Vec<u32>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

/// Envoy makes one call into a VM at a time. An inner one, should a host ever make it, finds nothing.
fn with<R>(step: impl FnOnce(&mut Contexts) -> Option<R>) -> Option<R> {
    CONTEXTS.with(|contexts| step(&mut *contexts.try_borrow_mut().ok()?))
}

fn root(id: u32, step: impl FnOnce(&mut Root)) {
    with(|contexts| contexts.roots.get_mut(&id).map(step));
}

/// The number by which the ABI says what becomes of a request or response.
fn stream(id: u32, step: impl FnOnce(&mut Http) -> Flow) -> u32 {
    const CONTINUE: u32 = 0;
    const PAUSE: u32 = 1;
    match with(|contexts| contexts.streams.get_mut(&id).map(step)) {
        Some(Flow::Continue) => CONTINUE,
        // Nobody has decided about a stream that nobody knows.
        Some(Flow::Pause) | None => PAUSE,
    }
}

const TRUE: u32 = 1;

unsafe extern "C" {
    /// What has to run before anything else of a module that is no program, by the linker.
    safe fn __wasm_call_ctors();
}

/// Which ABI this is: Envoy looks for the name.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    __wasm_call_ctors();
    // A panic cannot be survived, but it can be told.
    std::panic::set_hook(Box::new(|panic| abi::log(Level::Error, &panic.to_string())));
}

/// Memory that the host fills and that [`abi`] takes over: a boxed slice of exactly this size.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(vec![0_u8; size].into_boxed_slice()).cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    with(|contexts| {
        if parent == 0 {
            contexts.roots.insert(id, Root::new());
        } else if let Some(root) = contexts.roots.get(&parent) {
            contexts.streams.insert(id, root.on_new_stream());
        }
        Some(())
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_id: u32, _size: usize) -> u32 {
    TRUE
}

/// Always true: false would make Envoy exit, or answer 500 for everything.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(id: u32, _size: usize) -> u32 {
    root(id, Root::on_configure);
    TRUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(id: u32) {
    root(id, |root| root.on_tick());
    resume(id);
}

/// Requests that wait for region state are decided once there is any. Envoy lets one go on, or answers
/// it, when this callback is over.
fn resume(root: u32) {
    with(|contexts| {
        let waiting = std::mem::take(&mut contexts.waiting);
        let has_left = !waiting.is_empty();
        for id in waiting {
            let Some(http) = contexts.streams.get_mut(&id) else { continue };
            if abi::set_context(id).is_ok() && http.on_state() == Some(Flow::Continue) {
                // One that does not go on ends with its timeout.
                let _ = abi::continue_request();
            }
            if http.is_waiting() {
                contexts.waiting.push(id);
            }
        }
        if has_left {
            let _ = abi::set_context(root);
        }
        Some(())
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    id: u32,
    call: u32,
    _headers: usize,
    body_size: usize,
    _trailers: usize,
) {
    root(id, |root| root.on_http_call_response(call, body_size));
    resume(id);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _count: usize, end_of_stream: u32) -> u32 {
    let flow = stream(id, |http| http.on_request_headers(end_of_stream != 0));
    with(|contexts| {
        if contexts.streams.get(&id).is_some_and(Http::is_waiting) {
            contexts.waiting.push(id);
        }
        Some(())
    });
    flow
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(id: u32, _size: usize, _end_of_stream: u32) -> u32 {
    stream(id, |http| http.on_request_body())
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(id: u32, _count: usize) -> u32 {
    stream(id, Http::on_request_trailers)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(id: u32, _count: usize, end_of_stream: u32) -> u32 {
    stream(id, |http| http.on_response_headers(end_of_stream != 0))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(id: u32, size: usize, end_of_stream: u32) -> u32 {
    stream(id, |http| http.on_response_body(size, end_of_stream != 0))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(id: u32, _count: usize) -> u32 {
    stream(id, Http::on_response_trailers)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(id: u32) {
    with(|contexts| contexts.streams.get_mut(&id).map(Http::on_log));
}

/// Nothing is left to be done later.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(_id: u32) -> u32 {
    TRUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    // They are dropped when the contexts can be used again.
    let _gone = with(|contexts| Some((contexts.streams.remove(&id), contexts.roots.remove(&id))));
}

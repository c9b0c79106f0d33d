//! What a guest may use.

use crate::{guest, said};
use wasm_host::{Code, Ended, FailurePolicy, Host, Limits, LogLevel, Plugin, get};

fn host(functions: &str) -> Host {
    Host::of(Plugin::new("plugin", &guest(functions)))
}

/// With V8 a loop without end stops the worker for good.
#[test]
fn a_loop_without_end_uses_up_its_fuel() {
    let limits = Limits { fuel_per_callback: 10_000, ..Limits::default() };
    let host = host(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $get_header (i32.const 0) @"x-loop" (i32.const 16) (i32.const 20)))
            (if (i32.load (i32.const 20)) (then (loop $again (br $again))))
            (i32.const 0))"#,
    );
    let host = host.failure_policy(FailurePolicy::RELOAD).limits(limits);
    let mut proxy = host.start().unwrap();
    assert_eq!(proxy.send(get("/")).unwrap().status, 200);
    proxy.wait(std::time::Duration::from_secs(2));
    let outcome = proxy.send(get("/").header("x-loop", "1")).unwrap();
    assert_eq!(outcome.status, 503);
    let traps: Vec<_> = outcome.trace.traps().filter_map(|call| call.trap.clone()).collect();
    assert_eq!(traps.len(), 1);
    assert!(traps.iter().all(|why| why.starts_with("the callback used up its fuel")), "{traps:?}");
    assert_eq!(proxy.send(get("/")).unwrap().status, 200, "by a new VM");
}

#[test]
fn memory_grows_as_far_as_it_may() {
    let limits = Limits { memory_bytes: 6 * 65536, ..Limits::default() };
    let host = host(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (call $say @"grew from" (memory.grow (i32.const 2)))
            (call $say @"grew from" (memory.grow (i32.const 1)))
            (i32.const 1))"#,
    );
    let proxy = host.limits(limits).start().unwrap();
    assert_eq!(said(&proxy), ["grew from 4", "grew from -1"]);
    assert!(proxy.memory_bytes().iter().all(|bytes| *bytes == 6 * 65536));
}

#[test]
fn memories_and_tables_share_a_limit() {
    let code = Code::compile(
        &wat::parse_str(
            r#"(module
                (memory $one (export "memory") 1)
                (memory $two 1)
                (func (export "malloc") (param i32) (result i32) (i32.const 8))
                (func (export "proxy_abi_version_0_2_1"))
                (func (export "proxy_on_configure") (param i32 i32) (result i32)
                    (i32.and
                        (i32.eq (memory.grow $one (i32.const 1)) (i32.const 1))
                        (i32.eq (memory.grow $two (i32.const 1)) (i32.const -1)))))"#,
        )
        .unwrap(),
    )
    .unwrap();
    let limits = Limits { memory_bytes: 3 * 65536, ..Limits::default() };
    let host = Host::of(Plugin::new("plugin", &code)).limits(limits);
    assert!(host.start().is_ok(), "three pages of two memories, and not one more");
}

/// Time does not move while something is due, so this would never end.
#[test]
fn what_asks_again_for_what_comes_at_once_is_stopped() {
    let host = host(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $get @"callee" (i32.const 1000))
            (i32.const 1))
        (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
            (call $get @"callee" (i32.const 1000)))"#,
    );
    let limits = Limits { events_per_instant: 100, ..Limits::default() };
    let mut proxy = host.cluster("callee", wasm_host::ok).limits(limits).start().unwrap();
    let outcome = proxy.send(get("/")).unwrap();
    assert_eq!(outcome.ended, Ended::Hung);
    let last = outcome.logs.last().unwrap();
    assert_eq!((last.level, &last.plugin), (LogLevel::Critical, &None), "{last}");
}

/// Every slice may name the same bytes.
#[test]
fn a_line_of_many_slices_has_an_end() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (; prelude ;)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.const 131072))
            (loop $more
                (i32.store (local.get $at) (i32.const 0))
                (i32.store offset=4 (local.get $at) (i32.const 65536))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br_if $more (i32.lt_u (local.get $at) (i32.const 132072))))
            (call $say @"errno" (call $fd_write
                (i32.const 1) (i32.const 131072) (i32.const 100) (i32.const 16)))
            (i32.const 0)))"#;
    let code = Code::compile(&crate::guest::assemble(text).unwrap()).unwrap();
    let mut proxy = Host::of(Plugin::new("plugin", &code)).start().unwrap();
    assert_eq!(proxy.send(get("/")).unwrap().messages(), ["errno 28"]);
}

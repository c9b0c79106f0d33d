//! What a guest may use.

use crate::{guest, said};
use wasm_host::{FailurePolicy, Host, Limits, Plugin, get};

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

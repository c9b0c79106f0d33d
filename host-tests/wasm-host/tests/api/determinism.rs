//! Two runs are one run.

use crate::{guest, said};
use std::time::Duration;
use wasm_host::{Host, Order, Outcome, Plugin, Trace, get};

const TICKS: &str = r#"
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $set_tick (i32.const 10)))
        (i32.const 1))
    (func (export "proxy_on_tick") (param i32)
        (drop (call $random (i32.const 24) (i32.const 8)))
        (call $put @"tick ")
        (call $put_long (i64.load (i32.const 24)))
        (call $flush)
        (call $show_shared @"last")
        (drop (call $set_shared_data @"last" (i32.const 24) (i32.const 4) (i32.const 0))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"request\00time")
        (i32.const 0))"#;

fn run(seed: u64, order: Order) -> (Trace, Outcome, Vec<String>) {
    // An import has to stand before everything that is defined.
    let (import, rest) = TICKS.trim_start().split_once('\n').unwrap();
    let text = format!("(module {import} (; prelude ;)\n{rest})");
    let code = wasm_host::Code::compile(&crate::guest::assemble(&text).unwrap()).unwrap();
    let host = Host::of(Plugin::new("plugin", &code)).workers(3).seed(seed).order(order);
    let mut proxy = host.start().unwrap();
    proxy.wait(Duration::from_millis(50));
    let outcome = proxy.send(get("/")).unwrap();
    (proxy.trace(), outcome, said(&proxy))
}

#[test]
fn the_same_setting_has_the_same_trace_fuel_included() {
    for order in [Order::AsAsked, Order::Shuffled(7)] {
        let (one, other) = (run(1, order), run(1, order));
        assert_eq!(one.0, other.0, "{order:?}");
        assert_eq!(one.1, other.1, "{order:?}");
        assert!(one.1.fuel() > 0 && one.0.cost().fuel > one.1.fuel(), "{order:?}");
    }
}

#[test]
fn another_seed_or_order_is_another_run() {
    let (_, _, known) = run(1, Order::AsAsked);
    assert!(known.iter().any(|line| line.starts_with("tick ")), "{known:?}");
    assert_ne!(known, run(2, Order::AsAsked).2, "other random bytes");
    let orders: Vec<_> = (0..5).map(|seed| run(1, Order::Shuffled(seed)).2).collect();
    assert!(orders.iter().any(|lines| *lines != known), "ticks in another order");
}

/// Compiled alone, so that it does not depend on the other guests of this file.
#[test]
fn fuel_is_that_of_the_guest() {
    let code = guest(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (i32.const 0))"#,
    );
    let mut proxy = Host::of(Plugin::new("plugin", &code)).start().unwrap();
    let fuel: Vec<u64> = (0..3).map(|_| proxy.send(get("/")).unwrap().fuel()).collect();
    assert!(fuel[0] > 0 && fuel.iter().all(|known| *known == fuel[0]), "{fuel:?}");
}

//! Strict hosts, and hostcalls that fail on purpose.

use crate::{guest, messages};
use std::time::Duration;
use wasm_host::{FaultPlan, Host, Plugin, Status, get};

const ASKS: &str = r#"
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 0) @":path")
        (call $show_header (i32.const 0) @":method")
        (i32.const 0))"#;

fn host() -> Host {
    Host::of(Plugin::new("plugin", &guest(ASKS)))
}

#[test]
fn a_call_that_nobody_expected_is_an_error() {
    let mut proxy =
        host().expect_only(&["proxy_log", "proxy_get_header_map_value"]).start().unwrap();
    assert!(proxy.send(get("/")).is_ok());
    let mut proxy = host().expect_only(&["proxy_log"]).start().unwrap();
    let error = proxy.send(get("/")).unwrap_err();
    assert_eq!(error.0.name, "proxy_get_header_map_value");
    assert_eq!(
        error.to_string(),
        "unexpected hostcall: proxy_on_request_headers(2) proxy_get_header_map_value \":path\" -> 0"
    );
}

#[test]
fn the_start_and_ticks_are_strict_too() {
    let code = guest(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $set_tick (i32.const 10)))
            (i32.const 1))
        (func (export "proxy_on_tick") (param i32) (call $show_shared @"key"))"#,
    );
    let host = || Host::of(Plugin::new("plugin", &code));
    let error = host().expect_only(&["proxy_log"]).start().map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("proxy_set_tick_period_milliseconds"), "{error}");
    let some = ["proxy_set_tick_period_milliseconds", "proxy_log"];
    let mut proxy = host().expect_only(&some).start().unwrap();
    proxy.wait(Duration::from_millis(20));
    assert_eq!(proxy.send(get("/")).unwrap_err().0.name, "proxy_get_shared_data");
}

#[test]
fn a_hostcall_that_is_misspelt_is_an_error() {
    for host in [
        host().expect_only(&["proxy_lgo"]),
        host().faults(FaultPlan::always("proxy_lgo", Status::NotFound)),
    ] {
        let error = host.start().map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "there is no hostcall `proxy_lgo`");
    }
}

/// Adds one to a number in shared data; whether it looks who wrote meanwhile is its configuration.
const COUNTS: &str = r#"
    (global $cas (mut i32) (i32.const 0))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (global.set $cas (local.get 1))
        (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (loop $again
            (call $clear)
            (drop (call $get_shared_data @"n" (i32.const 16) (i32.const 20) (i32.const 24)))
            (i32.store8 (i32.const 32)
                (i32.add (i32.load8_u (i32.load (i32.const 16))) (i32.const 1)))
            (br_if $again (call $set_shared_data @"n" (i32.const 32) (i32.const 1)
                (select (i32.load (i32.const 24)) (i32.const 0) (global.get $cas)))))
        (i32.const 0))"#;

/// Workers overlap; what another one adds between reading and writing is lost to who does not look.
#[test]
fn an_update_is_lost_without_compare_and_swap() {
    for (configuration, sum, why) in [("", 1, "written over"), ("cas", 2, "seen, and added to")] {
        let plugin = Plugin::new("plugin", &guest(COUNTS)).configuration(configuration);
        let mut is_done = false;
        let host = Host::of(plugin).meanwhile(move |_, call, other| {
            if call == "proxy_set_shared_data" && !std::mem::replace(&mut is_done, true) {
                let known = other.shared_data("", "n").unwrap_or_default();
                other.share("", "n", &[known.first().map_or(0, |n| *n).wrapping_add(1)]);
            }
        });
        let mut proxy = host.start().unwrap();
        proxy.share("", "n", &[0]);
        proxy.send(get("/")).unwrap();
        assert_eq!(proxy.shared_data("", "n"), Some(vec![sum]), "{why}");
    }
}

#[test]
fn a_call_fails_where_the_plan_says_so() {
    let fine = [":path: Ok /", ":method: Ok GET"];
    let call = "proxy_get_header_map_value";
    for (plan, said) in [
        (FaultPlan::none(), fine),
        (FaultPlan::at(0, Status::InternalFailure), [":path: InternalFailure", fine[1]]),
        (FaultPlan::at(2, Status::Unimplemented), [fine[0], ":method: Unimplemented"]),
        (FaultPlan::always(call, Status::NotFound), [":path: NotFound", ":method: NotFound"]),
    ] {
        let label = format!("{plan:?} {said:?}");
        let mut proxy = host().faults(plan).start().unwrap();
        assert_eq!(messages(&proxy.send(get("/")).unwrap()), said, "{label}");
    }
}

//! Strict hosts, and hostcalls that fail on purpose.

use crate::{guest, messages};
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

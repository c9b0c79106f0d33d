//! VMs and roots: who shares what, what is refused, what ends when.

use crate::{guest, said};
use wasm_host::{Host, Plugin, StartError, get};

/// Says what it is told of roots.
const TELLS: &str = r#"
    (func (export "proxy_on_context_create") (param i32 i32)
        (call $say2 @"create" (local.get 0) (local.get 1)))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $show_buffer (i32.const 7) (i32.const 0) (i32.const 100))
        ;; One of three bytes is refused.
        (i32.ne (local.get 1) (i32.const 3)))
    (func (export "proxy_on_done") (param i32) (result i32)
        (call $say @"done" (local.get 0))
        (i32.const 1))
    (func (export "proxy_on_delete") (param i32)
        (call $say @"delete" (local.get 0)))"#;

fn plugin(configuration: &str) -> Plugin {
    Plugin::new("plugin", &guest(TELLS)).configuration(configuration)
}

#[test]
fn a_new_configuration_is_a_new_root_in_the_same_vm() {
    let mut proxy = Host::of(plugin("first")).start().unwrap();
    let before = said(&proxy).len();
    let stream = proxy.open(get("/"));
    proxy.configure(plugin("second")).unwrap();
    assert_eq!(
        said(&proxy)[before..],
        ["create 2 1", "create 3 0", "buffer 7 0 100: Ok second"],
        "the first root lives as long as its stream"
    );
    proxy.respond(stream, wasm_host::Response::new(200));
    let ends = ["done 2", "delete 2", "done 1", "delete 1"];
    assert_eq!(said(&proxy)[before + 3..], ends);
    assert_eq!(proxy.close(stream).status, 200);
    let again = said(&proxy).len();
    proxy.configure(plugin("second")).unwrap();
    assert_eq!(said(&proxy).len(), again, "the same configuration is the same root");
}

#[test]
fn a_refused_configuration_leaves_the_one_before() {
    let refused = Err(StartError::Configure("plugin".into()));
    assert_eq!(Host::of(plugin("bad")).start().map(|_| ()), refused);
    let mut proxy = Host::of(plugin("first")).start().unwrap();
    assert_eq!(proxy.configure(plugin("bad")), refused);
    assert_eq!(proxy.send(get("/")).unwrap().status, 200);
}

#[test]
fn plugins_of_one_key_share_a_vm() {
    let code = guest(TELLS);
    let named = |name: &str| Plugin::new(name, &code).configuration("shared");
    for (other, created, why) in [
        (named("other"), ["create 1 0", "create 2 0"], "the same key: two roots of one VM"),
        (named("other").env("A", "1"), ["create 1 0", "create 1 0"], "another environment"),
        (named("other").vm_id("v"), ["create 1 0", "create 1 0"], "another id"),
        (
            named("other").vm_configuration("c"),
            ["create 1 0", "create 1 0"],
            "another configuration",
        ),
    ] {
        let proxy = Host::of(named("one")).plugin(other).start().unwrap();
        let known: Vec<_> =
            said(&proxy).into_iter().filter(|line| line.starts_with("create")).collect();
        assert_eq!(known, created, "{why}");
    }
}

#[test]
fn a_listener_has_to_name_plugins_that_are_there() {
    let host = Host::of(plugin("first")).listener("edge", &["nobody"]);
    let error = host.start().map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the listener `edge` names the plugin `nobody`, which is not there"
    );
}

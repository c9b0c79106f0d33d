//! The first thing that anybody tries.

use wasm_host::{Ended, Host, Request, Response, Route, get, post};

fn wasm() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/hello.wat");
    wat::parse_file(path).unwrap()
}

#[test]
fn a_request_passes_the_plugin_both_ways() {
    let host = Host::new(&wasm()).unwrap().workers(2);
    let host = host.upstream(|_| Response::new(200).header("a", "1").body("from upstream"));
    let outcome = host.start().unwrap().send(get("/x").header("b", "2")).unwrap();
    assert_eq!((outcome.ended, outcome.status), (Ended::Complete, 200));
    assert_eq!(outcome.header("x-hello").as_deref(), Some("world"));
    assert_eq!(outcome.header("a").as_deref(), Some("1"));
    assert_eq!(outcome.text(), "from upstream");
    let upstream = outcome.upstream.unwrap();
    assert_eq!(upstream.headers.text("x-hello").as_deref(), Some("world"));
    assert_eq!(upstream.headers.text("b").as_deref(), Some("2"));
}

#[tokio::test]
async fn the_same_for_who_is_async() {
    let mut proxy = Host::new(&wasm()).unwrap().start().unwrap();
    let outcome =
        proxy.request(post("/x").body("one").body("two").trailer("t", "3")).await.unwrap();
    let upstream = outcome.upstream.unwrap();
    assert_eq!(upstream.body, b"onetwo");
    assert_eq!(upstream.trailers.unwrap().text("t").as_deref(), Some("3"));
}

#[test]
fn a_header_that_the_plugin_sets_chooses_the_route() {
    let host = Host::new(&wasm()).unwrap();
    let host = host.route(Route::to("greeted").header("x-hello", "world").named("to greeted"));
    let host = host.route(Route::to("upstream"));
    let mut proxy = host.cluster("greeted", |_| Response::new(202)).start().unwrap();
    let outcome = proxy.send(get("/")).unwrap();
    assert_eq!(outcome.cluster.as_deref(), Some("greeted"));
    assert_eq!(outcome.route.as_deref(), Some("to greeted"));
    assert_eq!(outcome.status, 202);
}

/// Who stands for the upstream can do so step by step, with other streams in between.
#[test]
fn streams_can_be_driven_by_hand() {
    let mut proxy = Host::new(&wasm()).unwrap().start().unwrap();
    let (one, two) = (proxy.open(get("/one")), proxy.open(get("/two")));
    assert_eq!(proxy.waiting(one).unwrap().path(), "/one");
    proxy.respond(two, Response::new(201));
    assert!(proxy.has_ended(two) && !proxy.has_ended(one));
    proxy.fail(one, wasm_host::Failure::Refused);
    assert_eq!(proxy.close(one).status, 503);
    assert_eq!(proxy.close(two).status, 201);
}

#[test]
fn a_listener_has_its_own_plugins() {
    let host = Host::new(&wasm()).unwrap();
    let mut proxy = host.listener("plain", &[]).listener("greets", &["plugin"]).start().unwrap();
    for (listener, greeted) in [("plain", false), ("greets", true)] {
        let request = Request::new("GET", "/").listener(listener);
        let outcome = proxy.send(request).unwrap();
        assert_eq!(outcome.header("x-hello").is_some(), greeted, "{listener}");
    }
}

/// A misspelt listener must not look like a request that every plugin let pass.
#[test]
fn a_request_of_no_listener_gets_nowhere() {
    let host = Host::new(&wasm()).unwrap().listener("one", &[]).listener("two", &["plugin"]);
    let mut proxy = host.start().unwrap();
    for listener in ["", "tow"] {
        let outcome = proxy.send(Request::new("GET", "/").listener(listener)).unwrap();
        assert_eq!((outcome.status, outcome.upstream), (503, None), "{listener}");
    }
}

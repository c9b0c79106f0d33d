//! What whoever plays the rest of the proxy may say of a stream, and when a plugin finds it.

use wasm_host::{Host, Response, get};

#[test]
fn a_plugin_finds_what_is_said_once_it_is_said() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/properties.wat");
    let wasm = wat::parse_file(path).unwrap();
    let mut proxy = Host::new(&wasm).unwrap().start().unwrap();
    for (stored, learnt) in [(Some("a"), Some("b")), (None, Some("c")), (Some("d"), None)] {
        let mut request = get("/");
        if let Some(value) = stored {
            request = request.filter_state("key", value);
        }
        let stream = proxy.open(request);
        let waiting = proxy.waiting(stream).unwrap();
        assert_eq!(waiting.headers.text("x-seen").as_deref(), stored);
        if let Some(id) = learnt {
            proxy.attribute(stream, &["upstream", "uri_san_peer_certificate"], id);
        }
        proxy.respond(stream, Response::new(200));
        assert_eq!(proxy.close(stream).header("x-seen").as_deref(), learnt);
    }
}

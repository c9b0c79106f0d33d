//! x
use wasm_host::{Host, Response, get};

#[test]
fn hello() {
    let wasm =
        wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/hello.wat")).unwrap();
    let mut proxy = Host::new(&wasm)
        .unwrap()
        .workers(2)
        .upstream(|_| Response::new(200).body("hi"))
        .start()
        .unwrap();
    let outcome = proxy.send(get("/x")).unwrap();
    println!("{outcome:#?}");
    assert_eq!(outcome.header("x-hello").as_deref(), Some("world"));
    assert_eq!(outcome.upstream.unwrap().headers.text("x-hello").as_deref(), Some("world"));
}

//! Requests that a plugin sends on its own.

use crate::{guest, messages};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wasm_host::{Answer, Failure, Host, Incoming, Origin, Plugin, Response, get};

/// Pauses, asks, and says what came of it before it goes on.
const ASKS: &str = r#"
    (global $waits (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param $context i32) (param i32 i32) (result i32)
        (global.set $waits (local.get $context))
        (call $get @"callee" (i32.const 1000))
        (i32.const 1))
    (func (export "proxy_on_http_call_response")
            (param i32) (param $token i32) (param $headers i32) (param $body i32) (param i32)
        (call $say2 @"answered" (local.get $headers) (local.get $body))
        (call $show_header (i32.const 6) @":status")
        (call $show_buffer (i32.const 4) (i32.const 0) (i32.const 100))
        (drop (call $set_effective_context (global.get $waits)))
        (drop (call $continue_stream (i32.const 0))))"#;

fn host() -> Host {
    Host::of(Plugin::new("plugin", &guest(ASKS)))
}

#[test]
fn answers_and_failures_come_by_the_virtual_clock() {
    let ms = Duration::from_millis;
    let late = |response: Response| Answer::from(response).after(ms(300));
    for (answer, said, took) in [
        (
            late(Response::new(200).body("yes")),
            vec!["answered 2 3", ":status: Ok 200", "buffer 4 0 100: Ok yes"],
            ms(300),
        ),
        (
            Answer::from(Response::new(200)).after(ms(5000)),
            vec!["answered 3 24", ":status: Ok 504", "buffer 4 0 100: Ok upstream request timeout"],
            ms(1000),
        ),
        (
            Answer::Silence,
            vec!["answered 3 24", ":status: Ok 504", "buffer 4 0 100: Ok upstream request timeout"],
            ms(1000),
        ),
        (
            Failure::Reset.into(),
            vec!["answered 0 0", ":status: BadArgument", "buffer 4 0 100: NotFound"],
            ms(0),
        ),
    ] {
        let label = format!("{answer:?}");
        let host = host().cluster("callee", move |_: Incoming| answer.clone());
        let mut proxy = host.start().unwrap();
        let outcome = proxy.send(get("/")).unwrap();
        assert_eq!(outcome.status, 200, "{label}");
        assert_eq!(messages(&outcome)[1..], said, "{label}");
        assert_eq!(outcome.took, took, "{label}");
    }
}

/// One connection, one response.
async fn serve(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 1024];
    let read = stream.read(&mut request).await.unwrap();
    assert!(request.starts_with(b"GET /call HTTP/1.1\r\n") && read > 0);
    stream.write_all(b"HTTP/1.1 202 OK\r\ncontent-length: 4\r\n\r\nreal").await.unwrap();
}

#[tokio::test]
async fn a_real_server_answers() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener));
    let mut proxy = host().cluster("callee", Origin::at(address)).start().unwrap();
    let outcome = proxy.request(get("/")).await.unwrap();
    server.await.unwrap();
    assert_eq!(messages(&outcome)[2..], [":status: Ok 202", "buffer 4 0 100: Ok real"]);
}

#[tokio::test]
async fn a_real_server_that_is_not_there_refuses() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    drop(listener);
    let mut proxy = host().cluster("callee", Origin::at(address)).start().unwrap();
    let outcome = proxy.request(get("/")).await.unwrap();
    assert_eq!(messages(&outcome)[2], ":status: Ok 503");
}

/// A unary call that succeeds brings a message, a stream brings everything.
#[test]
fn grpc_calls_and_streams() {
    let functions = r#"
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $set_tick (i32.const 10)))
            (i32.const 1))
        (func (export "proxy_on_tick") (param i32)
            (drop (call $set_tick (i32.const 0)))
            (call $status @"call" (call $grpc_call @"greeter" @"Greeter" @"Greet"
                (i32.const 0) (i32.const 0) @"hi" (i32.const 1000) (i32.const 24)))
            (call $say @"token" (i32.load (i32.const 24)))
            (call $status @"stream" (call $grpc_stream @"greeter" @"Greeter" @"Chat"
                (i32.const 0) (i32.const 0) (i32.const 24)))
            (call $say @"token" (i32.load (i32.const 24)))
            (call $status @"send" (call $grpc_send (i32.load (i32.const 24)) @"ho" (i32.const 1)))
            (call $status @"send to a call" (call $grpc_send (i32.const 1) @"x" (i32.const 1)))
            (call $status @"unknown" (call $grpc_cancel (i32.const 8))))
        (func (export "proxy_on_grpc_receive_initial_metadata") (param i32 i32 i32)
            (call $say2 @"initial" (local.get 1) (local.get 2)))
        (func (export "proxy_on_grpc_receive") (param i32 i32 i32)
            (call $say2 @"receive" (local.get 1) (local.get 2))
            (call $show_buffer (i32.const 5) (i32.const 0) (i32.const 100)))
        (func (export "proxy_on_grpc_receive_trailing_metadata") (param i32 i32 i32)
            (call $say2 @"trailing" (local.get 1) (local.get 2)))
        (func (export "proxy_on_grpc_close") (param i32 i32 i32)
            (call $say2 @"close" (local.get 1) (local.get 2)))"#;
    let echo = |incoming: Incoming| {
        assert_eq!(incoming.headers.text("content-type").as_deref(), Some("application/grpc"));
        Response::new(200).body(incoming.body).trailer("grpc-status", "0")
    };
    let plugin = Plugin::new("plugin", &guest(functions)).root_id("root");
    let mut proxy = Host::of(plugin).cluster("greeter", echo).start().unwrap();
    proxy.wait(Duration::from_millis(20));
    let said = crate::said(&proxy);
    assert_eq!(
        said,
        [
            "call: Ok",
            "token 1",
            "stream: Ok",
            "token 4",
            "send: Ok",
            "send to a call: BadArgument",
            "unknown: NotFound",
            "receive 1 2",
            "buffer 5 0 100: Ok hi",
            "initial 4 1",
            "receive 4 2",
            "buffer 5 0 100: Ok ho",
            "trailing 4 1",
            "close 4 0",
        ]
    );
}

//! The echo over real sockets: what it tells, and what a test can ask of it.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::*;
use crate::client::{RawRequest, RawResponse, receive_from, receive_http2, send};

const SOON: Duration = Duration::from_secs(10);

/// A running echo that ends with the value.
struct Echo {
    addr: SocketAddr,
    _stop: oneshot::Sender<()>,
}

async fn echo_with(hold_limit: Duration) -> Echo {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let options = EchoOptions { hold_limit, ..EchoOptions::new("tokyo", addr) };
    tokio::spawn(serve_on(listener, options, async {
        let _ = stopped.await;
    }));
    Echo { addr, _stop: stop }
}

async fn echo() -> Echo {
    echo_with(SOON).await
}

impl Echo {
    async fn send(&self, request: RawRequest) -> RawResponse {
        send(self.addr, &request, SOON).await.unwrap()
    }

    async fn get(&self, target: &str) -> String {
        self.send(RawRequest::new("GET", target)).await.text().into_owned()
    }

    async fn wait_for_held(&self, key: &str, count: usize) {
        let wanted = json!({"held": count}).to_string();
        let reached = async {
            while self.get(&format!("/_echo/held?key={key}")).await != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, reached).await.expect("the count is reached");
    }

    fn hold(&self, key: &str) -> tokio::task::JoinHandle<RawResponse> {
        let (addr, request) = (self.addr, RawRequest::new("GET", "/").header("echo-hold", key));
        tokio::spawn(async move { send(addr, &request, SOON).await.unwrap() })
    }

    async fn release(&self, key: &str) -> String {
        let request = RawRequest::new("POST", format!("/_echo/release?key={key}"));
        self.send(request).await.text().into_owned()
    }
}

fn parse(response: &RawResponse) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

#[tokio::test]
async fn tells_what_reached_it() {
    let echo = echo().await;
    let request = RawRequest::new("POST", "/a//%2F/b?c=%41&d")
        .header("X-B", "1")
        .header("x-a", b"caf\xc3\xa9 \xff\\".to_vec())
        .header("x-b", "2")
        .body("hello");
    let response = echo.send(request).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("x-echo-region"), Some(&b"tokyo"[..]));
    assert_eq!(response.header("content-type"), Some(&b"application/json"[..]));
    assert_eq!(
        parse(&response),
        json!({
            "region": "tokyo",
            "method": "POST",
            "path": "/a//%2F/b?c=%41&d",
            "authority": "localhost",
            "protocol": "HTTP/1.1",
            "headers": [
                ["host", "localhost"],
                ["x-b", "1"],
                ["x-b", "2"],
                ["x-a", "café \\xff\\"],
                ["connection", "close"],
                ["content-length", "5"],
            ],
            "bodyBytes": 5,
        })
    );
}

#[tokio::test]
async fn answers_what_it_is_asked_to() {
    let echo = echo().await;
    let request = RawRequest::new("GET", "/")
        .header("echo-status", "503")
        .header("echo-header", "retry-after=7")
        .header("echo-header", "set-cookie=a=b; c")
        .header("echo-header", "set-cookie=d=e");
    let response = echo.send(request).await;
    assert_eq!(response.status, 503);
    assert_eq!(response.header("retry-after"), Some(&b"7"[..]));
    let cookies = response.headers.iter().filter(|(name, _)| name == "set-cookie");
    let cookies: Vec<_> = cookies.map(|(_, value)| &**value).collect();
    assert_eq!(cookies, [&b"a=b; c"[..], b"d=e"]);
}

#[tokio::test]
async fn answers_in_the_form_it_is_asked_to() {
    let echo = echo().await;
    let request = RawRequest::new("POST", "/")
        .header("te", "trailers")
        .header("echo-body", "request")
        .header("echo-content-type", "text/plain")
        .header("echo-chunks", "2")
        .header("echo-trailer", "x-sum=1")
        .body("abcdef");
    let received = receive_from(echo.addr, &request, SOON).await.unwrap();
    let wire = String::from_utf8(received.wire).unwrap();
    assert!(wire.ends_with("\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\nx-sum: 1\r\n\r\n"), "{wire}");
    assert_eq!(received.response.header("content-type"), Some(&b"text/plain"[..]));

    let not_modified = RawRequest::new("GET", "/").header("echo-status", "304");
    assert_eq!(echo.send(not_modified).await.body, b"");
    let whole = echo.send(RawRequest::new("GET", "/").header("echo-body", "abc")).await;
    assert_eq!((whole.header("content-length"), &*whole.body), (Some(&b"3"[..]), &b"abc"[..]));
}

#[tokio::test]
async fn holds_the_rest_of_a_body() {
    let echo = echo().await;
    let mut stream = tokio::net::TcpStream::connect(echo.addr).await.unwrap();
    let request = "GET / HTTP/1.1\r\nhost: h\r\necho-body: firstother\r\necho-hold-body: k\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut wire = Vec::new();
    let mut receive = async |until: &str| {
        let reached = async {
            while !wire.ends_with(until.as_bytes()) {
                assert_ne!(stream.read_buf(&mut wire).await.unwrap(), 0);
            }
        };
        tokio::time::timeout(SOON, reached).await.expect("it arrives");
    };
    receive("5\r\nfirst\r\n").await;
    echo.wait_for_held("k", 1).await;
    echo.release("k").await;
    receive("5\r\nother\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn remembers_what_was_answered_otherwise() {
    let echo = echo().await;
    for number in 0..=SEEN_MAX {
        let request = RawRequest::new("GET", format!("/{number}"))
            .header("x-request-id", format!("r-{number}"))
            .header("echo-body", "else");
        assert_eq!(echo.send(request).await.text(), "else");
    }
    let seen: Value = serde_json::from_str(&echo.get("/_echo/seen?key=r-1").await).unwrap();
    assert_eq!(seen["path"], "/1");
    for gone in ["r-0", "never"] {
        let seen = echo.send(RawRequest::new("GET", format!("/_echo/seen?key={gone}"))).await;
        assert_eq!(seen.status, 404, "{gone}");
    }
}

#[tokio::test]
async fn refuses_controls_it_cannot_follow() {
    let echo = echo().await;
    for (name, value) in [("echo-status", "99"), ("echo-hold", "a b"), ("echo-repeat", "4194304")] {
        let response = echo.send(RawRequest::new("GET", "/").header(name, value)).await;
        assert_eq!(response.status, 400, "{name}: {value}");
    }
    assert_eq!(echo.send(RawRequest::new("GET", "/_echo/held")).await.status, 400);
    assert_eq!(echo.send(RawRequest::new("GET", "/_echo/else")).await.status, 404);
    assert_eq!(echo.send(RawRequest::new("GET", "/_echo/release?key=a")).await.status, 404);
}

#[tokio::test]
async fn counts_requests_but_no_controls() {
    let echo = echo().await;
    assert_eq!(echo.get("/health").await, "ok");
    echo.get("/a").await;
    echo.get("/b").await;
    assert_eq!(echo.get("/_echo/count").await, r#"{"count":2}"#);
}

#[tokio::test]
async fn holds_until_released() {
    let echo = echo().await;
    let (one, two, other) = (echo.hold("k.1"), echo.hold("k.1"), echo.hold("other"));
    echo.wait_for_held("k.1", 2).await;
    echo.wait_for_held("other", 1).await;
    assert_eq!(echo.release("k.1").await, r#"{"released":2}"#);
    assert_eq!(one.await.unwrap().status, 200);
    assert_eq!(two.await.unwrap().status, 200);
    assert!(!other.is_finished());
    echo.wait_for_held("k.1", 0).await;
    assert_eq!(echo.release("k.1").await, r#"{"released":0}"#);

    let again = echo.hold("k.1");
    echo.wait_for_held("k.1", 1).await;
    echo.release("k.1").await;
    again.await.unwrap();
}

#[tokio::test]
async fn forgets_a_held_request_whose_client_left() {
    let echo = echo().await;
    let left = echo.hold("k");
    echo.wait_for_held("k", 1).await;
    left.abort();
    echo.wait_for_held("k", 0).await;
}

#[tokio::test]
async fn does_not_hold_for_ever() {
    let echo = echo_with(Duration::from_millis(30)).await;
    assert_eq!(echo.hold("k").await.unwrap().status, 200);
}

#[tokio::test]
async fn bounds_what_it_holds() {
    let echo = echo().await;
    let held: Vec<_> = (0..HELD_MAX).map(|i| echo.hold(&format!("k{}", i % 2))).collect();
    echo.wait_for_held("k0", HELD_MAX / 2).await;
    echo.wait_for_held("k1", HELD_MAX / 2).await;
    assert_eq!(echo.hold("k2").await.unwrap().status, 503);
    echo.release("k0").await;
    echo.release("k1").await;
    for request in held {
        assert_eq!(request.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn bounds_the_body() {
    let echo = echo().await;
    let fits = echo.send(RawRequest::new("POST", "/").body(vec![0; BODY_LIMIT])).await;
    assert_eq!(parse(&fits)["bodyBytes"], BODY_LIMIT);
    let body = [&b"100001\r\n"[..], &vec![b'x'; BODY_LIMIT + 1], b"\r\n0\r\n\r\n"].concat();
    let request = RawRequest::new("POST", "/").header("transfer-encoding", "chunked").body(body);
    assert_eq!(echo.send(request).await.status, 413);
}

#[tokio::test]
async fn speaks_http_2_and_grpc() {
    let echo = echo().await;
    let stream = tokio::net::TcpStream::connect(echo.addr).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(
        TokioExecutor::new(),
        TokioIo::new(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);

    let request = |kind: &str| {
        Request::post("http://shop.example/orders.Orders/Get")
            .header("content-type", kind)
            .body(Full::new(Bytes::from_static(&[0; 5])))
            .unwrap()
    };
    let plain = sender.send_request(request("application/json")).await.unwrap();
    let plain = plain.into_body().collect().await.unwrap().to_bytes();
    let plain: Value = serde_json::from_slice(&plain).unwrap();
    assert_eq!(plain["protocol"], "HTTP/2.0");
    assert_eq!(plain["authority"], "shop.example");
    assert_eq!(plain["path"], "/orders.Orders/Get");

    let grpc = sender.send_request(request("application/grpc+proto")).await.unwrap();
    assert_eq!(grpc.status(), 200);
    assert_eq!(grpc.headers()["content-type"], "application/grpc");
    assert_eq!(grpc.headers()["x-echo-region"], "tokyo");
    let body = grpc.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    let message = body.to_bytes();
    let length = u32::from_be_bytes(message[1..5].try_into().unwrap());
    assert_eq!((message[0], length as usize), (0, message.len() - 5));
    let told: serde_json::Value = serde_json::from_slice(&message[5..]).unwrap();
    assert_eq!(told["region"], "tokyo");
}

#[test]
fn knows_grpc_by_its_content_type() {
    for kind in
        ["application/grpc", "Application/GRPC", "application/grpc+proto", "application/grpc;x"]
    {
        assert!(is_grpc(kind.as_bytes()), "{kind}");
    }
    for kind in ["application/grpc-web", "application/json", "application/grp"] {
        assert!(!is_grpc(kind.as_bytes()), "{kind}");
    }
}

#[tokio::test]
async fn says_which_port_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let options = EchoOptions::new("tokyo", taken.local_addr().unwrap());
    let error = serve(options, std::future::pending()).await.unwrap_err();
    assert!(matches!(error, Error::PortInUse { purpose: "application", .. }), "{error}");
}

#[test]
fn a_request_that_wants_to_be_found_is() {
    for (pairs, line) in [
        (&[("echo-id", "r-1"), ("x-request-id", "42")][..], Some("ran r-1 as 42\n")),
        (&[("echo-id", "r-1")], Some("ran r-1 as -\n")),
        (&[("echo-id", "r-1"), ("x-request-id", "4 2")], Some("ran r-1 as -\n")),
        (&[("echo-id", "r 1")], None),
        (&[("x-request-id", "42")], None),
    ] {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        assert_eq!(ran(&pairs.collect()).as_deref(), line, "{line:?}");
    }
}

#[tokio::test]
async fn sends_trailers_with_http_2() {
    let echo = echo().await;
    let request = RawRequest::new("GET", "/")
        .header("echo-body", "abc")
        .header("echo-chunks", "3")
        .header("echo-trailer", "x-sum=1");
    let received = receive_http2(echo.addr, &request, SOON).await.unwrap();
    assert_eq!((received.response.status, received.is_cut), (200, false));
    assert_eq!(received.wire, b"abc");
    assert_eq!(received.response.trailer("X-Sum"), Some(&b"1"[..]));
    let unsendable = RawRequest::new("GET", "/a b");
    let error = receive_http2(echo.addr, &unsendable, SOON).await.unwrap_err();
    assert!(matches!(error, Error::Unsendable { .. }), "{error}");
}

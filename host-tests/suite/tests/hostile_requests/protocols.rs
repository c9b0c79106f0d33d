//! Methods, upgrades, preflights and gRPC.

use crate::edge::{
    CARTS, Edge,
    Expect::{Envoy, Grpc, Guard, Runs},
    ORDERS, PRODUCT, Row,
};
use local_mesh::client::RawRequest;
use suite::{Trouble, token};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn rows(edge: &Edge) -> Result<Vec<Row>, Trouble> {
    let mei = token(&edge.regions.run, "mei", "TW")?;
    let owned = |request: RawRequest| {
        request.header("authorization", mei.as_str()).header("idempotency-key", "k")
    };
    let upgrade = |target: &str, to: &str| {
        RawRequest::new("GET", target)
            .header("connection", "upgrade")
            .header("upgrade", to)
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    let grpc = |target: &str, kind: &str| {
        RawRequest::new("POST", target).header("content-type", kind).header("te", "trailers")
    };
    let preflight = |target: &str| {
        RawRequest::new("OPTIONS", target)
            .header("origin", "https://h0stile.example")
            .header("access-control-request-method", "POST")
    };
    let reserve = "/shop.inventory.v1.Inventory/Reserve";
    let unmatched = Guard(404, "unmatched");
    Ok(vec![
        ("an unknown method", RawRequest::new("BREW", PRODUCT), Envoy(400)),
        ("a method in small letters", RawRequest::new("get", PRODUCT), Envoy(400)),
        ("a method with a space", RawRequest::new("GET /x", PRODUCT), Envoy(400)),
        ("a method of WebDAV", RawRequest::new("PROPFIND", PRODUCT), Guard(400, "malformed")),
        ("TRACE", RawRequest::new("TRACE", PRODUCT), Guard(400, "malformed")),
        ("HEAD", RawRequest::new("HEAD", "/health"), Runs("taiwan", "")),
        ("CONNECT", RawRequest::new("CONNECT", "localhost:80"), Guard(400, "malformed")),
        ("CONNECT with a path", RawRequest::new("CONNECT", ORDERS), Envoy(400)),
        (
            "a web socket on a leased context",
            owned(upgrade("/api/v1/orders/1", "websocket")),
            Guard(403, "stream_refused"),
        ),
        (
            "a web socket on stock",
            upgrade("/api/v1/inventory/1", "websocket"),
            Guard(403, "stream_refused"),
        ),
        (
            "a web socket without a token",
            upgrade("/api/v1/orders/1", "websocket"),
            Guard(401, "credentials_missing"),
        ),
        ("a web socket on a cart", upgrade(CARTS, "websocket"), Runs("taiwan", "")),
        ("an upgrade that Envoy does not know", upgrade(CARTS, "h0stile"), Envoy(403)),
        ("an upgrade to HTTP/2 is taken off", upgrade(CARTS, "h2c"), Runs("taiwan", CARTS)),
        ("two upgrades", upgrade(CARTS, "websocket").header("upgrade", "h2c"), Envoy(403)),
        (
            "an upgrade without a connection header is none",
            owned(RawRequest::new("POST", ORDERS)).header("upgrade", "websocket"),
            Runs("taiwan", ORDERS),
        ),
        ("a preflight", preflight(ORDERS), Runs("taiwan", ORDERS)),
        (
            "a preflight of another host",
            RawRequest {
                headers: vec![
                    (b"host".to_vec(), b"h0stile.example".to_vec()),
                    (b"origin".to_vec(), b"https://a".to_vec()),
                    (b"access-control-request-method".to_vec(), b"POST".to_vec()),
                ],
                ..RawRequest::new("OPTIONS", ORDERS)
            },
            unmatched,
        ),
        (
            "a preflight with a body is none",
            preflight(ORDERS).body("x"),
            Guard(401, "credentials_missing"),
        ),
        (
            "a preflight with two origins",
            preflight(ORDERS).header("origin", "https://b"),
            Guard(400, "malformed"),
        ),
        (
            "OPTIONS without an origin",
            RawRequest::new("OPTIONS", ORDERS),
            Guard(401, "credentials_missing"),
        ),
        (
            "a gRPC write without a key",
            grpc(reserve, "application/grpc"),
            Grpc(3, "idempotency_key_missing"),
        ),
        (
            "a gRPC write",
            grpc(reserve, "application/grpc").header("idempotency-key", "k"),
            Runs("taiwan", ""),
        ),
        (
            "what Envoy does not take for gRPC gets an HTTP answer",
            grpc(reserve, "Application/GRPC+proto"),
            Guard(400, "idempotency_key_missing"),
        ),
        (
            "gRPC-Web gets an HTTP answer",
            grpc(reserve, "application/grpc-web+proto"),
            Guard(400, "idempotency_key_missing"),
        ),
        (
            "an unknown gRPC service",
            grpc("/h0stile.Service/Do", "application/grpc"),
            Grpc(5, "unmatched"),
        ),
        (
            "a gRPC call to a REST path",
            grpc(ORDERS, "application/grpc").header("idempotency-key", "k"),
            Grpc(16, "credentials_missing"),
        ),
        (
            "gRPC with a deadline of bytes",
            grpc(reserve, "application/grpc").header("grpc-timeout", b"\xffS".to_vec()),
            Grpc(3, "malformed"),
        ),
        (
            "gRPC with two keys",
            grpc(reserve, "application/grpc")
                .header("idempotency-key", "a")
                .header("idempotency-key", "b"),
            Grpc(3, "malformed"),
        ),
        (
            "gRPC with no time left",
            grpc(reserve, "application/grpc").header("grpc-timeout", "0m"),
            Grpc(4, "deadline"),
        ),
        (
            "the path of a gRPC write is a write, whatever the content type",
            RawRequest::new("POST", reserve).header("idempotency-key", "k"),
            Runs("taiwan", reserve),
        ),
    ])
}

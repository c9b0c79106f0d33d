//! Values that Envoy joins, that are no text, or that come twice.

use crate::edge::{
    Edge,
    Expect::{Envoy, Guard, Runs},
    ORDERS, PRODUCT, REVIEW, Row,
};
use local_mesh::client::RawRequest;
use suite::{Trouble, token};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn rows(edge: &Edge) -> Result<Vec<Row>, Trouble> {
    let mei = token(&edge.regions.run, "mei", "TW")?;
    let hana = token(&edge.regions.run, "hana", "JP")?;
    let get = || RawRequest::new("GET", PRODUCT);
    let order = || RawRequest::new("POST", ORDERS).header("authorization", mei.as_str());
    let keyed = |key: &[u8]| order().header("idempotency-key", key);
    let bare = |method: &str, target: &str| RawRequest {
        headers: Vec::new(),
        ..RawRequest::new(method, target)
    };
    let host = |host: &[u8]| bare("GET", PRODUCT).header("host", host);
    let runs = Runs("taiwan", PRODUCT);
    let placed = Runs("taiwan", ORDERS);
    let malformed = Guard(400, "malformed");
    let bytes = b"h0stile \xff\xfe\xc3\x28";
    Ok(vec![
        (
            "two content types",
            get().header("content-type", "text/plain").header("content-type", "application/grpc"),
            malformed,
        ),
        (
            "the same content type twice",
            get().header("content-type", "text/plain").header("content-type", "text/plain"),
            malformed,
        ),
        (
            "content types joined",
            get().header("content-type", "text/plain, application/grpc"),
            malformed,
        ),
        ("a content type of bytes", get().header("content-type", bytes), runs),
        (
            "two tokens",
            order().header("authorization", hana.as_str()).header("idempotency-key", "k"),
            Envoy(401),
        ),
        (
            "two tokens joined",
            RawRequest::new("POST", ORDERS).header("authorization", format!("{mei}, {hana}")),
            Envoy(401),
        ),
        ("the same token twice", order().header("authorization", mei.as_str()), Envoy(401)),
        (
            "two tokens for public data",
            get().header("authorization", mei.as_str()).header("authorization", hana.as_str()),
            Envoy(401),
        ),
        ("a forged token", get().header("authorization", "Bearer a.b.h0stile"), Envoy(401)),
        (
            "a token with its signature changed",
            RawRequest::new("POST", ORDERS).header("authorization", forged(&mei)),
            Envoy(401),
        ),
        (
            "a token without a signature",
            RawRequest::new("POST", ORDERS).header("authorization", unsigned(&mei)),
            Envoy(401),
        ),
        (
            "credentials of another kind",
            RawRequest::new("POST", ORDERS)
                .header("authorization", "Basic aDBzdGlsZTpo")
                .header("idempotency-key", "k"),
            Guard(401, "credentials_missing"),
        ),
        (
            "credentials of bytes",
            RawRequest::new("POST", ORDERS)
                .header("authorization", bytes)
                .header("idempotency-key", "k"),
            Guard(401, "credentials_missing"),
        ),
        (
            "a token in the query",
            RawRequest::new(
                "POST",
                format!("{ORDERS}?access_token={}", mei.trim_start_matches("Bearer ")),
            ),
            Guard(401, "credentials_missing"),
        ),
        (
            "two keys",
            order().header("idempotency-key", "k1").header("idempotency-key", "k2"),
            malformed,
        ),
        (
            "the same key twice",
            order().header("idempotency-key", "k1").header("idempotency-key", "k1"),
            malformed,
        ),
        ("a quoted key", keyed(b"\"k-h0stile\""), placed),
        ("a bare key", keyed(b"k-h0stile"), placed),
        ("keys joined by a comma", keyed(b"k1,k2"), malformed),
        ("a key of bytes", keyed(bytes), malformed),
        ("a key of UTF-8", keyed("h0stile-é".as_bytes()), malformed),
        ("an empty key", keyed(b""), malformed),
        ("a key of quotes", keyed(b"\"\""), malformed),
        ("a key that is too long", keyed(&[b'k'; 131]), malformed),
        ("no key", order(), Guard(400, "idempotency_key_missing")),
        ("two hosts", get().header("host", "localhost"), malformed),
        ("two different hosts", get().header("host", "h0stile.example"), malformed),
        ("hosts joined", host(b"localhost,h0stile.example"), malformed),
        ("another host", host(b"h0stile.example"), Guard(404, "unmatched")),
        ("a host with a port", host(b"localhost:80"), runs),
        ("a host in capitals", host(b"LOCALHOST"), runs),
        ("a host with a user", host(b"h0stile@localhost"), Guard(404, "unmatched")),
        ("a host of bytes", host(b"localhost\xff"), Envoy(400)),
        ("no host", bare("GET", PRODUCT), Envoy(400)),
        ("an empty host", host(b""), Guard(404, "unmatched")),
        ("bytes in a header that means nothing", get().header("x-note", bytes), runs),
        ("bytes in a header of ours", get().header("x-meshfence-route", bytes), runs),
        ("a NUL in a header", get().header("x-note", "h0stile\0"), Envoy(400)),
        (
            "a line break in a header of ours",
            get().header("x-note", "1\r\nx-meshfence-route: tokyo"),
            runs,
        ),
        (
            "a folded header is one value",
            get().header("x-note", "1\r\n x-meshfence-route: tokyo"),
            runs,
        ),
        ("a name with a space", get().header("x-meshfence-route ", "tokyo"), Envoy(400)),
        ("a name of bytes", get().header(b"x-\xff".to_vec(), "1"), Envoy(400)),
        ("no name", get().header("", "h0stile"), Envoy(400)),
        (
            "connection names a header of ours",
            get()
                .header("connection", "close, x-meshfence-route")
                .header("x-meshfence-route", "tokyo"),
            runs,
        ),
        (
            "connection names the key",
            keyed(b"k").header("connection", "close, idempotency-key"),
            Guard(400, "idempotency_key_missing"),
        ),
        (
            "connection names the token",
            keyed(b"k").header("connection", "close, authorization"),
            Guard(401, "credentials_missing"),
        ),
        (
            "two lengths",
            RawRequest::new("POST", REVIEW)
                .header("content-length", "1")
                .header("content-length", "2")
                .body("ab"),
            Envoy(400),
        ),
        (
            "a length and chunks",
            RawRequest::new("POST", REVIEW)
                .header("content-length", "5")
                .header("transfer-encoding", "chunked")
                .body("0\r\n\r\n"),
            Envoy(400),
        ),
        ("200 headers", many(get(), 200), Envoy(431)),
        ("a very large header", get().header("x-note", vec![b'h'; 70_000]), Envoy(431)),
        ("a large header", get().header("x-note", vec![b'h'; 50_000]), runs),
        ("a header that some read with a dash", get().header("x_note", "1"), Envoy(400)),
    ])
}

/// A token whose signature is another's.
fn forged(token: &str) -> String {
    let (start, end) = token.split_at(token.len().saturating_sub(6));
    format!("{start}{}", end.chars().rev().collect::<String>())
}

/// The same claims under the algorithm `none`.
fn unsigned(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap_or_default();
    format!("Bearer eyJhbGciOiJub25lIn0.{claims}.")
}

fn many(mut request: RawRequest, count: usize) -> RawRequest {
    for number in 0..count {
        request = request.header(format!("x-note-{number}"), "1");
    }
    request
}

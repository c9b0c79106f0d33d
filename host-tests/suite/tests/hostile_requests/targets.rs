//! Targets that two servers could read in two ways.

use crate::edge::{
    Edge,
    Expect::{Envoy, Guard, Runs},
    ORDERS, PRODUCT, Row,
};
use local_mesh::client::RawRequest;
use suite::{Trouble, token};

pub(crate) fn rows(edge: &Edge) -> Result<Vec<Row>, Trouble> {
    let mei = token(&edge.regions.run, "mei", "TW")?;
    let get = |target: &[u8]| RawRequest::new("GET", target);
    let post = |target: &[u8]| RawRequest::new("POST", target);
    let order = |target: &[u8]| {
        post(target).header("authorization", mei.as_str()).header("idempotency-key", "k")
    };
    let runs = Runs("taiwan", PRODUCT);
    let malformed = Guard(400, "malformed");
    let unknown = Guard(401, "credentials_missing");
    Ok(vec![
        ("an escaped slash", get(b"/api/v1/products%2f1"), Envoy(400)),
        ("an escaped slash in capitals", get(b"/api/v1/products%2F1"), Envoy(400)),
        ("an escaped slash to get away", get(b"/api/v1/products/..%2forders"), Envoy(400)),
        ("an escaped backslash", get(b"/api/v1/products%5C1"), Envoy(400)),
        ("an escaped backslash in small", get(b"/api/v1/products%5c1"), Envoy(400)),
        ("a backslash", get(b"/api/v1\\products\\1"), runs),
        ("a backslash to get away", order(b"/api/v1/products\\..\\orders"), Runs("taiwan", ORDERS)),
        ("a backslash to get away without a token", post(b"/api/v1/products\\..\\orders"), unknown),
        ("dots", get(b"/api/v1/orders/../products/1"), runs),
        ("dots to get away", post(b"/api/v1/products/../orders"), unknown),
        ("escaped dots", get(b"/api/v1/orders/%2e%2e/products/1"), runs),
        ("escaped dots to get away", post(b"/api/v1/products/%2E%2e/orders"), unknown),
        ("half escaped dots", post(b"/api/v1/products/.%2e/orders"), unknown),
        ("dots above the root", get(b"/../../api/v1/products/1"), runs),
        ("a single dot", get(b"/api/./v1/products/1"), runs),
        (
            "doubly escaped dots stay data",
            get(b"/api/v1/products/%252e%252e"),
            Runs("taiwan", "/api/v1/products/%252e%252e"),
        ),
        (
            "doubly escaped slash stays data",
            get(b"/api/v1/products/%252f"),
            Runs("taiwan", "/api/v1/products/%252f"),
        ),
        ("double slashes", get(b"//api///v1//products/1"), runs),
        (
            "a host in the path",
            get(b"//h0stile.example/api/v1/products/1"),
            Guard(404, "unmatched"),
        ),
        ("path parameters", get(b"/api/v1/products/1;x=1"), malformed),
        ("dots with parameters are dots to Envoy", get(b"/api/v1/products/..;/orders"), unknown),
        ("an escaped semicolon", get(b"/api/v1/products/1%3bx=1"), malformed),
        ("an escaped NUL", get(b"/api/v1/products/%00"), Envoy(400)),
        ("an escaped line break", get(b"/api/v1/products/%0d%0ax-h0stile:1"), malformed),
        ("an escaped delete", get(b"/api/v1/products/%7f"), malformed),
        ("a broken escape", get(b"/api/v1/products/%zz"), malformed),
        ("half an escape", get(b"/api/v1/products/%2"), malformed),
        ("an escaped letter", post(b"/api/v1/%6frders"), unknown),
        (
            "an escaped letter, canonical upstream",
            order(b"/api/v1/%6frders"),
            Runs("taiwan", ORDERS),
        ),
        (
            "escapes in one form",
            get(b"/api/v1/products/caf%c3%a9"),
            Runs("taiwan", "/api/v1/products/caf%C3%A9"),
        ),
        ("capitals are another path", get(b"/API/v1/products/1"), Guard(404, "unmatched")),
        ("a NUL", get(b"/api/v1/products/\0"), Envoy(400)),
        ("bytes", get(b"/api/v1/products/\xff\xfe"), Envoy(400)),
        ("UTF-8", get("/api/v1/products/é".as_bytes()), Envoy(400)),
        ("a tab", get(b"/api/v1/products/\t1"), Envoy(400)),
        ("a fragment", get(b"/api/v1/products/1#/../orders"), Envoy(400)),
        (
            "hostile query",
            get(b"/api/v1/products/1?x=/../%2f;%00&y=h0stile"),
            Runs("taiwan", "/api/v1/products/1?x=/../%2f;%00&y=h0stile"),
        ),
        ("absolute form", get(b"http://localhost/api/v1/products/1"), runs),
        (
            "absolute form of another host",
            get(b"http://h0stile.example/api/v1/products/1"),
            Guard(404, "unmatched"),
        ),
        (
            "absolute form decides, not the header",
            RawRequest {
                headers: vec![(b"host".to_vec(), b"h0stile.example".to_vec())],
                ..get(b"http://localhost/api/v1/products/1")
            },
            runs,
        ),
        ("absolute form with dots", post(b"http://localhost/api/v1/products/../orders"), unknown),
        ("absolute form without a path", get(b"http://localhost"), Guard(404, "unmatched")),
        ("absolute form of another scheme", get(b"ftp://localhost/api/v1/products/1"), Envoy(400)),
        ("authority form", get(b"localhost:80"), Envoy(400)),
        ("asterisk form", get(b"*"), Envoy(400)),
        ("no slash", get(b"api/v1/products/1"), Envoy(400)),
        ("no target", get(b""), Envoy(400)),
        ("a path of 9000 bytes", get(&long(9_000)), malformed),
        ("a path of 70000 bytes", get(&long(70_000)), Envoy(431)),
        ("a health path is exact", get(b"/health/../api/v1/orders"), unknown),
        ("a health path with more behind", get(b"/health/x"), Guard(404, "unmatched")),
        ("a write to a health path", post(b"/health"), Guard(404, "unmatched")),
    ])
}

fn long(length: usize) -> Vec<u8> {
    let mut path = b"/api/v1/products/".to_vec();
    path.resize(length, b'a');
    path
}

//! The application of the local mesh, as `local_mesh::echo` answers.

use super::message::{Headers, Request, Response, first};
use super::readable;
use local_mesh::echo::{Answer, Asked};
use serde_json::json;

/// The response header by which the application tells its region.
pub(super) const REGION: &str = "x-echo-region";

/// Answers a request in a region, and whether the application remembers what the request was.
pub(super) fn answer(region: &str, request: &Request, http2: bool) -> (Response, bool) {
    let is = |name: &str, values: &[&[u8]]| {
        first(&request.headers, name).is_some_and(|value| values.contains(&value))
    };
    let is_probe = is(":path", &[b"/health"]) && is(":method", &[b"GET", b"HEAD"]);
    let asked_for = if is_probe { Ok(text(200, "ok")) } else { asked_for(region, request, http2) };
    let mut response = asked_for.unwrap_or_else(|why| text(400, why));
    if is(":method", &[b"HEAD"]) {
        response.body.clear();
        response.trailers.clear();
    }
    response.headers.push((REGION.to_owned(), region.as_bytes().to_vec()));
    (response, !is_probe)
}

fn asked_for(region: &str, request: &Request, http2: bool) -> Result<Response, &'static str> {
    let part = |name: &str| {
        first(&request.headers, name).map(|value| String::from_utf8_lossy(value).into_owned())
    };
    // As far as the model knows it: Envoy adds headers of its own.
    let told = json!({
        "region": region,
        "method": part(":method"),
        "path": part(":path"),
        "authority": part(":authority"),
        "protocol": if http2 { "HTTP/2.0" } else { "HTTP/1.1" },
        "headers": readable(request),
        "bodyBytes": request.body.len(),
    });
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    let answer = Asked::read(headers, &request.body)?.answer(&told)?;
    let Answer { status, mut headers, mut pieces, is_chunked, mut trailers } = answer;
    // That nothing comes is known only when it has not come.
    if is_chunked && pieces.is_empty() {
        pieces.push(Vec::new());
    }
    headers.extend(framing(status, is_chunked, pieces.iter().map(Vec::len).sum(), http2));
    // With HTTP/1.1 Envoy passes none on.
    trailers.retain(|_| http2);
    Ok(Response { status, headers, body: pieces, trailers, is_cut: false })
}

/// What tells the length of a body.
fn framing(status: u16, is_chunked: bool, length: usize, http2: bool) -> Headers {
    let (name, value) = match (status, is_chunked) {
        (204 | 304, _) => return Vec::new(),
        (_, true) if http2 => return Vec::new(),
        (_, true) => ("transfer-encoding", String::from("chunked")),
        (_, false) => ("content-length", length.to_string()),
    };
    vec![(name.to_owned(), value.into_bytes())]
}

fn text(status: u16, text: &str) -> Response {
    let headers = vec![("content-type".to_owned(), b"text/plain".to_vec())];
    Response::whole(status, headers, text.as_bytes())
}

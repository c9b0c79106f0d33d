//! The application of the local mesh, as `local_mesh::echo` answers.

use super::message::{Headers, Request, Response, first};

/// The response header by which the application tells its region.
pub(super) const REGION: &str = "x-echo-region";

/// Answers a request in a region, and whether the answer tells what the request was.
pub(super) fn answer(region: &str, request: &Request) -> (Response, bool) {
    let is = |name: &str, values: &[&[u8]]| {
        first(&request.headers, name).is_some_and(|value| values.contains(&value))
    };
    let is_probe = is(":path", &[b"/health"]) && is(":method", &[b"GET", b"HEAD"]);
    let asked_for = if is_probe { Ok(text(200, "ok")) } else { asked_for(&request.headers) };
    let tells = asked_for.is_ok() && !is_probe && !is(":method", &[b"HEAD"]);
    let mut response = asked_for.unwrap_or_else(|why| text(400, why));
    response.headers.push((REGION.to_owned(), region.as_bytes().to_vec()));
    (response, tells)
}

fn asked_for(headers: &Headers) -> Result<Response, &'static str> {
    let status = match first(headers, "echo-status") {
        None => 200,
        Some(status) => std::str::from_utf8(status)
            .ok()
            .and_then(|status| status.parse().ok())
            .filter(|status| (200..=999).contains(status))
            .ok_or("echo-status is no final HTTP status")?,
    };
    let grpc = first(headers, "content-type").is_some_and(is_grpc);
    let kind = if grpc { "application/grpc" } else { "application/json" };
    let mut response = text(status, "");
    response.headers = vec![("content-type".to_owned(), kind.as_bytes().to_vec())];
    for (_, pair) in headers.iter().filter(|(name, _)| name == "echo-header") {
        let pair = header_pair(pair).ok_or("echo-header is not of the form name=value")?;
        response.headers.push(pair);
    }
    Ok(response)
}

fn text(status: u16, text: &str) -> Response {
    let headers = vec![("content-type".to_owned(), b"text/plain".to_vec())];
    Response { status, headers, body: text.as_bytes().to_vec() }
}

fn is_grpc(content_type: &[u8]) -> bool {
    let kind = content_type.get(..16);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/grpc"))
        && matches!(content_type.get(16), None | Some(b'+' | b';' | b' '))
}

fn header_pair(pair: &[u8]) -> Option<(String, Vec<u8>)> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (pair.get(..at)?, pair.get(at.checked_add(1)?..)?);
    let name = std::str::from_utf8(name.trim_ascii()).ok()?.to_ascii_lowercase();
    let framing = matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection");
    (!framing && !name.is_empty()).then(|| (name, value.trim_ascii().to_vec()))
}

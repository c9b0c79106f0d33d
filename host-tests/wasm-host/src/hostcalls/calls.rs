//! Requests that a plugin sends on its own.

use super::{Args, Fail, Guest, HostFunction};
use crate::pairs::{self, Pairs};
use crate::vm::{Action, CallKind, CallRequest};
use crate::{Headers, Status};
use std::time::Duration;

pub(super) const FUNCTIONS: &[HostFunction] =
    &[HostFunction::env("proxy_http_call", "iiiiiiiiii->i", http_call)];

pub(super) fn headers(pairs: Pairs) -> Headers {
    pairs
        .into_iter()
        .map(|(name, value)| (String::from_utf8_lossy(&name).into_owned(), value))
        .collect()
}

/// The call is the root's, whoever makes it: it goes on when the stream ends.
fn http_call(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let cluster = guest.read(args.u32(0), args.u32(1))?;
    let headers_at = guest.read(args.u32(2), args.u32(3))?;
    let body = guest.read(args.u32(4), args.u32(5))?;
    let trailers = guest.read(args.u32(6), args.u32(7))?;
    let (timeout, token_at) = (args.u32(8), args.u32(9));
    guest.about(&cluster);
    // Whether the token can be written is tried before anything is sent.
    guest.write_u32(token_at, 0)?;
    let cluster = String::from_utf8_lossy(&cluster).into_owned();
    if !guest.state().common().clusters.contains_key(&cluster) || timeout.cast_signed() < 0 {
        return Err(Status::BadArgument.into());
    }
    let mut headers = headers(pairs::decode(&headers_at));
    if let Some(host) = headers.get("host").map(<[u8]>::to_vec) {
        headers.remove("host");
        headers.set(":authority", host);
    }
    let is_complete =
        [":path", ":method", ":authority"].into_iter().all(|name| headers.get(name).is_some());
    if !is_complete {
        return Err(Status::BadArgument.into());
    }
    if !body.is_empty() {
        headers.set("content-length", body.len().to_string());
    }
    // What the router of Envoy's client adds.
    headers.set("x-envoy-internal", "true");
    if timeout > 0 {
        headers.set("x-envoy-expected-rq-timeout-ms", timeout.to_string());
    }
    let request = CallRequest {
        cluster,
        headers,
        body,
        trailers: self::headers(pairs::decode(&trailers)),
        timeout: (timeout > 0).then(|| Duration::from_millis(u64::from(timeout))),
    };
    let root = guest.state().root_id();
    let token = guest.state_mut().next_call();
    guest.state_mut().actions.push(Action::Call { kind: CallKind::Http, root, token, request });
    guest.write_u32(token_at, token)?;
    Ok(0)
}

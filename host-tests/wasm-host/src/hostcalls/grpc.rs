//! gRPC calls and streams that a plugin makes on its own.
//!
//! What stands behind is a [`crate::Service`] like any other: it gets a POST whose body is the framed
//! messages, and answers with framed messages and `grpc-status` in trailers. A stream is answered once
//! the plugin has closed its side.

use super::calls::headers;
use super::foreign::{Field, fields};
use super::{Args, Fail, Guest, HostFunction};
use crate::grpc::framed;
use crate::pairs;
use crate::vm::{Action, CallKind, CallRequest};
use crate::{Headers, Status};
use std::time::Duration;

pub(super) const FUNCTIONS: &[HostFunction] = &[
    HostFunction::env("proxy_grpc_call", "iiiiiiiiiiii->i", call),
    HostFunction::env("proxy_grpc_stream", "iiiiiiiii->i", stream),
    HostFunction::env("proxy_grpc_send", "iiii->i", send),
    HostFunction::env("proxy_grpc_close", "i->i", close),
    HostFunction::env("proxy_grpc_cancel", "i->i", cancel),
];

/// Calls have odd tokens, streams even ones.
fn is_call(token: u32) -> bool {
    token & 1 == 1
}

/// The cluster of a service: a `GrpcService` with `envoy_grpc.cluster_name`, or else its plain name.
fn cluster_of(guest: &Guest<'_>, service: &[u8]) -> Result<String, Status> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let is_known = |name: &str| guest.state().common().clusters.contains_key(name);
    let Some(message) = fields(service) else {
        let name = text(service);
        return if is_known(&name) { Ok(name) } else { Err(Status::ParseFailure) };
    };
    let envoy_grpc = message.iter().find_map(|(number, field)| match field {
        Field::Bytes(bytes) if *number == 1 => fields(bytes),
        _ => None,
    });
    let name = envoy_grpc.iter().flatten().find_map(|(number, field)| match field {
        Field::Bytes(bytes) if *number == 1 => Some(text(bytes)),
        _ => None,
    });
    match name {
        None => Err(Status::BadArgument),
        Some(name) if is_known(&name) => Ok(name),
        // The call is made, and fails on the spot.
        Some(_) => Err(Status::InternalFailure),
    }
}

/// A request from what both kinds of call begin with: service, its name, method, metadata.
fn request(guest: &mut Guest<'_>, args: Args<'_>) -> Result<CallRequest, Status> {
    let service = guest.read(args.u32(0), args.u32(1))?;
    let name = guest.read(args.u32(2), args.u32(3))?;
    let method = guest.read(args.u32(4), args.u32(5))?;
    let metadata = guest.read(args.u32(6), args.u32(7))?;
    let path = [b"/", name.as_slice(), b"/", &method].concat();
    guest.about(&path);
    let cluster = cluster_of(guest, &service)?;
    let mut all = Headers::from_iter([
        (":method", b"POST".to_vec()),
        (":path", path),
        (":authority", cluster.clone().into_bytes()),
        (":scheme", b"http".to_vec()),
        ("te", b"trailers".to_vec()),
        ("content-type", b"application/grpc".to_vec()),
    ]);
    let metadata = headers(pairs::decode(&metadata));
    all.extend(metadata.iter().map(|(name, value)| (name.to_owned(), value)));
    Ok(CallRequest {
        cluster,
        headers: all,
        body: Vec::new(),
        trailers: Headers::new(),
        timeout: None,
    })
}

fn call(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let mut request = request(guest, args)?;
    request.body = framed(&guest.read(args.u32(8), args.u32(9))?);
    let timeout = args.u32(10);
    request.timeout = (timeout > 0).then(|| Duration::from_millis(u64::from(timeout)));
    let root = guest.state().root_id();
    let token = guest.state_mut().next_grpc(true);
    guest.write_u32(args.u32(11), token)?;
    guest.state_mut().grpc_open.insert(token);
    guest.state_mut().actions.push(Action::Call { kind: CallKind::Grpc, root, token, request });
    Ok(0)
}

fn stream(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let request = request(guest, args)?;
    let root = guest.state().root_id();
    let token = guest.state_mut().next_grpc(false);
    guest.write_u32(args.u32(8), token)?;
    guest.state_mut().grpc_streams.insert(token, (root, request));
    Ok(0)
}

fn send(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let token = args.u32(0);
    let message = guest.read(args.u32(1), args.u32(2))?;
    if is_call(token) {
        return Err(Status::BadArgument.into());
    }
    let (_, request) = guest.state_mut().grpc_streams.get_mut(&token).ok_or(Status::NotFound)?;
    request.body.extend(framed(&message));
    if args.u32(3) != 0 {
        end_stream(guest, token)?;
    }
    Ok(0)
}

/// The plugin has sent all: now the service answers.
fn end_stream(guest: &mut Guest<'_>, token: u32) -> Result<(), Status> {
    let state = guest.state_mut();
    let (root, request) = state.grpc_streams.remove(&token).ok_or(Status::NotFound)?;
    state.grpc_open.insert(token);
    state.actions.push(Action::Call { kind: CallKind::GrpcStream, root, token, request });
    Ok(())
}

/// A call is given up; a stream is closed on this side.
fn close(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let token = args.u32(0);
    if is_call(token) {
        return cancel(guest, args);
    }
    end_stream(guest, token)?;
    Ok(0)
}

fn cancel(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let token = args.u32(0);
    let state = guest.state_mut();
    if state.grpc_streams.remove(&token).is_some() {
        return Ok(0);
    }
    if !state.grpc_open.remove(&token) {
        return Err(Status::NotFound.into());
    }
    state.actions.push(Action::Cancel { token });
    Ok(0)
}

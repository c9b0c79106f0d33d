//! What becomes of the stream at hand.

use super::{Args, Fail, Guest, HostFunction};
use crate::context::BodyView;
use crate::pairs;
use crate::vm::{Action, LocalReply};
use crate::{Direction, Status};

pub(super) const FUNCTIONS: &[HostFunction] = &[
    HostFunction::env("proxy_continue_stream", "i->i", continue_stream),
    HostFunction::env("proxy_close_stream", "i->i", close_stream),
    HostFunction::env("proxy_send_local_response", "iiiiiiii->i", send_local_response),
];

/// The stream types of the ABI: two of HTTP, two of TCP.
const STREAM_TYPES: u32 = 4;

fn direction_of(args: Args<'_>) -> Result<Option<Direction>, Status> {
    match args.u32(0) {
        0 => Ok(Some(Direction::Request)),
        1 => Ok(Some(Direction::Response)),
        tcp if tcp < STREAM_TYPES => Ok(None),
        _ => Err(Status::BadArgument),
    }
}

fn continue_stream(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let direction = match (direction_of(args)?, args.u32(0)) {
        (Some(direction), _) => direction,
        // Of the two of TCP Envoy knows the first one.
        (None, 2) => return Ok(0),
        (None, _) => return Err(Status::Unimplemented.into()),
    };
    guest.about(format!("{direction:?}").as_bytes());
    let context = guest.state().subject();
    let Some(stream) = guest.state_mut().stream_mut() else { return Ok(0) };
    // Whichever direction goes on, it is the request that is out of reach from now.
    stream.view.request_headers = false;
    stream.view.request_body = BodyView::Gone;
    stream.view.request_trailers = false;
    guest.state_mut().actions.push(Action::Continue { context, direction });
    Ok(0)
}

fn close_stream(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let direction = direction_of(args)?;
    let context = guest.state().subject();
    if direction.is_some() && guest.state().stream().is_some() {
        guest.state_mut().actions.push(Action::Reset { context });
    }
    Ok(0)
}

fn send_local_response(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let details = guest.read(args.u32(1), args.u32(2))?;
    let body = guest.read(args.u32(3), args.u32(4))?;
    let headers = guest.read(args.u32(5), args.u32(6))?;
    let status = args.u32(0);
    guest.about(status.to_string().as_bytes());
    // Envoy's details have no white space.
    let details = String::from_utf8_lossy(&details).replace(char::is_whitespace, "_");
    let reply = LocalReply {
        status: u16::try_from(status).unwrap_or(u16::MAX),
        details,
        body,
        headers: pairs::decode(&headers),
        grpc_status: args.u32(7).cast_signed(),
    };
    let context = guest.state().subject();
    if guest.state().stream().is_some() {
        guest.state_mut().actions.push(Action::Reply { context, reply });
    }
    guest.state_mut().is_stopped = true;
    Ok(0)
}

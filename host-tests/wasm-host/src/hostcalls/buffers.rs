//! Buffers: bodies, configurations, what a call brought.

use super::{Args, Fail, Guest, HostFunction};
use crate::{BufferType, Status};

pub(super) const FUNCTIONS: &[HostFunction] = &[
    HostFunction::env("proxy_get_buffer_bytes", "iiiii->i", get),
    HostFunction::env("proxy_get_buffer_status", "iii->i", status),
    HostFunction::env("proxy_set_buffer_bytes", "iiiii->i", set),
];

fn buffer_of(guest: &mut Guest<'_>, args: Args<'_>) -> Result<BufferType, Status> {
    let buffer = BufferType::of(args.u32(0)).ok_or(Status::BadArgument)?;
    guest.about(format!("{buffer:?}").as_bytes());
    Ok(buffer)
}

/// A buffer to read. A body that is gone is empty; what cannot be there is not found.
fn readable(guest: &Guest<'_>, buffer: BufferType) -> Result<Vec<u8>, Status> {
    let state = guest.state();
    let root = || state.root().ok_or(Status::NotFound);
    match buffer {
        BufferType::HttpRequestBody | BufferType::HttpResponseBody => {
            Ok(state.stream().and_then(|stream| stream.body(buffer)).unwrap_or_default())
        }
        BufferType::VmConfiguration => Ok(state.vm_configuration.clone()),
        BufferType::PluginConfiguration => {
            let root = root()?;
            let known = root.is_configuring.then(|| root.plugin.configuration.clone());
            known.ok_or(Status::NotFound)
        }
        BufferType::HttpCallResponseBody => {
            root()?.call_response.as_ref().map(|call| call.body.clone()).ok_or(Status::NotFound)
        }
        BufferType::GrpcReceiveBuffer => Ok(root()?.grpc_message.clone().unwrap_or_default()),
        // Streams are HTTP here, and nobody calls foreign functions of a plugin.
        BufferType::DownstreamData | BufferType::UpstreamData | BufferType::CallData => {
            Ok(Vec::new())
        }
    }
}

fn get(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let buffer = buffer_of(guest, args)?;
    let bytes = readable(guest, buffer)?;
    let (start, length) = (u64::from(args.u32(1)), u64::from(args.u32(2)));
    let size = bytes.len() as u64;
    let end = start.saturating_add(length).min(size);
    let (from, to) = (usize::try_from(start), usize::try_from(end));
    let part = match (from, to) {
        (Ok(from), Ok(to)) => bytes.get(from..to).unwrap_or_default(),
        _ => &[],
    };
    let part = part.to_vec();
    guest.give(&part, args.u32(3), args.u32(4))?;
    Ok(0)
}

fn status(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let buffer = buffer_of(guest, args)?;
    let size = readable(guest, buffer)?.len();
    guest.write_u32(args.u32(1), u32::try_from(size).unwrap_or(u32::MAX))?;
    guest.write_u32(args.u32(2), 0)?;
    Ok(0)
}

/// Only the beginning, the end, or all of a body can be written: `start` 0 puts bytes in the place
/// of the first `length` ones, any other one at or behind the end appends.
fn set(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let buffer = buffer_of(guest, args)?;
    readable(guest, buffer)?;
    let data = guest.read(args.u32(3), args.u32(4))?;
    let (start, length) = (args.u32(1) as usize, args.u32(2) as usize);
    let stream = guest.state().stream().ok_or(Status::BadArgument)?;
    let mut written = Ok(());
    stream.change_body(buffer, |body| {
        if start == 0 {
            let kept = body.split_off(length.min(body.len()));
            *body = data;
            body.extend(kept);
        } else if start >= body.len() {
            body.extend(data);
        } else {
            written = Err(Status::BadArgument);
        }
    })?;
    written?;
    Ok(0)
}

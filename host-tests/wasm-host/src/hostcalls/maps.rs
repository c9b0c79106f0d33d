//! Header maps.

use super::{Args, Fail, Guest, HostFunction};
use crate::pairs;
use crate::{Headers, MapType, Status};

pub(super) const FUNCTIONS: &[HostFunction] = &[
    HostFunction::env("proxy_get_header_map_value", "iiiii->i", get),
    HostFunction::env("proxy_add_header_map_value", "iiiii->i", add),
    HostFunction::env("proxy_replace_header_map_value", "iiiii->i", replace),
    HostFunction::env("proxy_remove_header_map_value", "iii->i", remove),
    HostFunction::env("proxy_get_header_map_pairs", "iii->i", get_pairs),
    HostFunction::env("proxy_set_header_map_pairs", "iii->i", set_pairs),
    HostFunction::env("proxy_get_header_map_size", "ii->i", size),
];

fn map_of(args: Args<'_>) -> Result<MapType, Status> {
    MapType::of(args.u32(0)).ok_or(Status::BadArgument)
}

fn name_of(guest: &mut Guest<'_>, map: MapType, at: u32, size: u32) -> Result<String, Status> {
    let name = guest.read(at, size)?;
    guest.about(&name);
    Ok(canonical(map, &name))
}

/// A header's name in a map: in a request `host` is the authority under another name.
fn canonical(map: MapType, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name).into_owned();
    let is_host = map == MapType::RequestHeaders && name.eq_ignore_ascii_case("host");
    if is_host { ":authority".to_owned() } else { name }
}

/// A map to read, if it is there.
fn readable(guest: &Guest<'_>, map: MapType) -> Option<Headers> {
    let state = guest.state();
    match map {
        MapType::GrpcReceiveInitialMetadata => state.root()?.grpc_initial.clone(),
        MapType::GrpcReceiveTrailingMetadata => state.root()?.grpc_trailing.clone(),
        MapType::HttpCallResponseHeaders => {
            Some(state.root()?.call_response.as_ref()?.headers.clone())
        }
        MapType::HttpCallResponseTrailers => state.root()?.call_response.as_ref()?.trailers.clone(),
        _ => state.stream()?.map(map),
    }
}

/// Changes a map. Only those of a stream can be changed.
fn change(
    guest: &Guest<'_>,
    map: MapType,
    change: impl FnOnce(&mut Headers),
) -> Result<(), Status> {
    guest.state().stream().ok_or(Status::BadArgument)?.change(map, change)
}

/// The same; a header of the request that changes may change its route.
fn write(guest: &Guest<'_>, map: MapType, write: impl FnOnce(&mut Headers)) -> Result<(), Status> {
    change(guest, map, write)?;
    if let (MapType::RequestHeaders, Some(stream)) = (map, guest.state().stream()) {
        stream.clear_route_cache();
    }
    Ok(())
}

/// The first value only.
fn get(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let map = map_of(args)?;
    let name = name_of(guest, map, args.u32(1), args.u32(2))?;
    let headers = readable(guest, map).ok_or(Status::BadArgument)?;
    let value = headers.get(&name).ok_or(Status::NotFound)?;
    guest.give(value, args.u32(3), args.u32(4))?;
    Ok(0)
}

fn add(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let map = map_of(args)?;
    let name = name_of(guest, map, args.u32(1), args.u32(2))?;
    let value = guest.read(args.u32(3), args.u32(4))?;
    write(guest, map, |headers| headers.add(name, value))?;
    Ok(0)
}

fn replace(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let map = map_of(args)?;
    let name = name_of(guest, map, args.u32(1), args.u32(2))?;
    let value = guest.read(args.u32(3), args.u32(4))?;
    write(guest, map, |headers| headers.set(name, value))?;
    Ok(0)
}

fn remove(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let map = map_of(args)?;
    let name = name_of(guest, map, args.u32(1), args.u32(2))?;
    write(guest, map, |headers| headers.remove(&name))?;
    Ok(0)
}

/// A map that is not there is empty, and no error.
fn get_pairs(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let map = map_of(args)?;
    guest.about(format!("{map:?}").as_bytes());
    let headers = readable(guest, map).unwrap_or_default();
    let bytes = if headers.is_empty() {
        Vec::new()
    } else {
        pairs::encode(headers.iter().map(|(name, value)| (name.as_bytes(), value)))
    };
    guest.give(&bytes, args.u32(1), args.u32(2))?;
    Ok(0)
}

/// What cannot be read as pairs is none: the map is empty afterwards.
fn set_pairs(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let map = map_of(args)?;
    guest.about(format!("{map:?}").as_bytes());
    let bytes = guest.read(args.u32(1), args.u32(2))?;
    let new = pairs::decode(&bytes);
    write(guest, map, |headers| {
        headers.clear();
        for (name, value) in new {
            headers.add(canonical(map, &name), value);
        }
    })?;
    Ok(0)
}

/// The bytes of names and values. Only a map that can be changed has a size.
fn size(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let map = map_of(args)?;
    let mut size = 0;
    change(guest, map, |headers| size = headers.byte_size())?;
    guest.write_u32(args.u32(1), u32::try_from(size).unwrap_or(u32::MAX))?;
    Ok(0)
}

//! Foreign functions: what Envoy has beyond the ABI.

use super::{Args, Fail, Guest, HostFunction};
use crate::context::{Declared, Span, Stored};
use crate::vm::Action;
use crate::{Status, Value};
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use std::io::Read as _;

pub(super) const FUNCTIONS: &[HostFunction] =
    &[HostFunction::env("proxy_call_foreign_function", "iiiiii->i", call)];

fn call(guest: &mut Guest<'_>, args: Args<'_>) -> Result<u32, Fail> {
    let name = guest.read(args.u32(0), args.u32(1))?;
    guest.about(&name);
    let argument = guest.read(args.u32(2), args.u32(3))?;
    let mut result = Vec::new();
    let status = match name.as_slice() {
        b"clear_route_cache" => {
            clear_route_cache(guest);
            Status::Ok
        }
        b"declare_property" => declare_property(guest, &argument),
        b"set_envoy_filter_state" => set_filter_state(guest, &argument),
        b"compress" => {
            result = compressed(&argument);
            Status::Ok
        }
        b"uncompress" => match uncompressed(&argument) {
            Some(bytes) => {
                result = bytes;
                Status::Ok
            }
            None => Status::SerializationFailure,
        },
        // No expression is understood here.
        b"expr_create" | b"expr_evaluate" => Status::BadArgument,
        b"expr_delete" => Status::NotFound,
        _ => return Err(Status::NotFound.into()),
    };
    let (at, size_at) = (args.u32(4), args.u32(5));
    if at != 0 {
        let place = guest.place(&result)?;
        guest.write_u32(at, place)?;
    }
    if size_at != 0 {
        guest.write_u32(size_at, u32::try_from(result.len()).unwrap_or(u32::MAX))?;
    }
    Ok(status.code())
}

/// The most bytes that are made of compressed ones.
const UNCOMPRESSED_MAX: u64 = 64 << 20;

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // Reading from a slice cannot fail.
    let _ = ZlibEncoder::new(bytes, Compression::default()).read_to_end(&mut out);
    out
}

fn uncompressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let limit = UNCOMPRESSED_MAX.saturating_add(1);
    let read = ZlibDecoder::new(bytes).take(limit).read_to_end(&mut out).ok()?;
    (read as u64 <= UNCOMPRESSED_MAX).then_some(out)
}

fn clear_route_cache(guest: &mut Guest<'_>) {
    let context = guest.state().subject();
    guest.state_mut().actions.push(Action::ClearRouteCache { context });
}

/// A field of a protocol buffer: its number, and what it holds.
pub(super) enum Field<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The fields of a message. Nothing if it is none.
pub(super) fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let field = match tag & 0b111 {
            0 => Field::Number(varint(&mut bytes)?),
            2 => {
                let size = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(size)?;
                bytes = rest;
                Field::Bytes(value)
            }
            _ => return None,
        };
        fields.push((tag >> 3, field));
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..10_u32 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(place.checked_mul(7)?)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn span(number: u64) -> Option<Span> {
    match number {
        0 => Some(Span::FilterChain),
        1 => Some(Span::Request),
        2 => Some(Span::Connection),
        _ => None,
    }
}

/// `DeclarePropertyArguments`: name 1, readonly 2, type 3, schema 4, span 5.
fn declare_property(guest: &mut Guest<'_>, argument: &[u8]) -> Status {
    let Some(fields) = fields(argument) else { return Status::BadArgument };
    let (mut name, mut declared) = (Vec::new(), Declared::default());
    for (number, field) in fields {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = bytes.to_vec(),
            (2, Field::Number(flag)) => declared.is_readonly = flag != 0,
            // Bytes, then text; the other two are read by a schema, which plain bytes pass through.
            (3, Field::Number(kind)) => declared.is_text = kind == 1,
            (5, Field::Number(number)) => declared.span = span(number).unwrap_or(Span::FilterChain),
            _ => {}
        }
    }
    let Some(root) = guest.state_mut().root_mut() else { return Status::Ok };
    if root.declared.contains_key(&name) {
        return Status::BadArgument;
    }
    root.declared.insert(name, declared);
    Status::Ok
}

/// Keys whose objects Envoy can make out of bytes.
const FILTER_STATE_KEYS: [&str; 10] = [
    "envoy.network.upstream_server_name",
    "envoy.network.application_protocols",
    "envoy.network.upstream_subject_alt_names",
    "envoy.tcp_proxy.cluster",
    "envoy.network.transport_socket.original_dst_address",
    "envoy.upstream.dynamic_host",
    "envoy.upstream.dynamic_port",
    "envoy.ratelimit.hits_addend",
    "envoy.string",
    "envoy.hashable_string",
];

/// `SetEnvoyFilterStateArguments`: path 1, value 2, span 3.
fn set_filter_state(guest: &mut Guest<'_>, argument: &[u8]) -> Status {
    let Some(fields) = fields(argument) else { return Status::BadArgument };
    let (mut key, mut value, mut declared) = (String::new(), Vec::new(), Declared::default());
    for (number, field) in fields {
        match (number, field) {
            (1, Field::Bytes(bytes)) => key = String::from_utf8_lossy(bytes).into_owned(),
            (2, Field::Bytes(bytes)) => value = bytes.to_vec(),
            (3, Field::Number(number)) => declared.span = span(number).unwrap_or(Span::FilterChain),
            _ => {}
        }
    }
    if !FILTER_STATE_KEYS.contains(&key.as_str()) {
        return Status::NotFound;
    }
    let Some(stream) = guest.state().stream() else { return Status::NotFound };
    let stored = Stored { value: Value::Bytes(value), declared };
    stream.state.borrow_mut().info.filter_state.insert(key, stored);
    Status::Ok
}

#[cfg(test)]
mod tests {
    use super::{Field, compressed, fields, uncompressed};

    #[test]
    fn what_is_compressed_comes_back() {
        let text = b"again and again and again".repeat(10);
        let small = compressed(&text);
        assert!(small.len() < text.len());
        assert_eq!(uncompressed(&small), Some(text));
        assert_eq!(uncompressed(b"no zlib"), None);
    }

    #[test]
    fn messages_are_read() {
        let found = fields(b"\x0a\x01n\x10\x01\x28\x96\x01").unwrap();
        let shown: Vec<String> = found
            .iter()
            .map(|(number, field)| match field {
                Field::Number(value) => format!("{number}={value}"),
                Field::Bytes(bytes) => format!("{number}:{}", bytes.len()),
            })
            .collect();
        assert_eq!(shown, ["1:1", "2=1", "5=150"]);
        for broken in [&b"\x0a"[..], b"\x0a\x05n", b"\x0d\0\0\0\0", &[0x80; 11]] {
            assert!(fields(broken).is_none(), "{broken:?}");
        }
    }
}

//! The calls of proxy-wasm ABI 0.2.1 that the module makes, each with every status mapped.
//!
//! The SDK of proxy-wasm has functions for them, but those panic on any status that they do not
//! expect, and its `Status` has no room for some that Envoy returns. Here a status is a number.
#![expect(
    unsafe_code,
    reason = "the ABI is foreign functions; nothing outside this file is unsafe but the names of callbacks"
)]

use std::ptr::{null_mut, slice_from_raw_parts_mut};

/// A status other than OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(u32);

/// A header map of the stream at hand.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
    ResponseHeaders = 2,
    ResponseTrailers = 3,
    /// Of the answer to a call of ours.
    AnswerHeaders = 6,
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum Level {
    Info = 2,
    Warn = 3,
    Error = 4,
}

/// Whether a metric is counted or set.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum MetricType {
    Counter = 0,
    Gauge = 1,
}

const RESPONSE_BODY: u32 = 1;
const ANSWER_BODY: u32 = 4;
const PLUGIN_CONFIGURATION: u32 = 7;
const RESPONSE: u32 = 1;
const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const SERIALIZATION_FAILURE: u32 = 3;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(result: *mut u64) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        size_max: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        bytes: *const u8,
        bytes_size: usize,
    ) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_get_header_map_pairs(map: u32, result: *mut *mut u8, result_size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_set_tick_period_milliseconds(period_ms: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_ms: u32,
        result: *mut u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, result: *mut u32) -> u32;
    fn proxy_increment_metric(metric: u32, offset: i64) -> u32;
    fn proxy_record_metric(metric: u32, value: u64) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn environ_sizes_get(count: *mut usize, size: *mut usize) -> u32;
    fn environ_get(variables: *mut *mut u8, bytes: *mut u8) -> u32;
    fn clock_time_get(clock: u32, precision_ns: u64, result: *mut u64) -> u32;
}

fn check(status: u32) -> Result<(), Status> {
    if status == OK { Ok(()) } else { Err(Status(status)) }
}

/// Takes over what the host left. It allocates with the exported `proxy_on_memory_allocate`,
/// which hands out boxed slices of exactly the size asked for.
fn take(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Status> {
    let mut data = null_mut();
    let mut size = 0;
    check(call(&raw mut data, &raw mut size))?;
    if data.is_null() || size == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the host returned OK, so `data` is a boxed slice of `size` bytes that
    // `proxy_on_memory_allocate` handed out for this one call; the host has written all of it, and
    // nobody else frees it.
    let boxed = unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) };
    Ok(boxed.into_vec())
}

pub(crate) fn log(level: Level, text: &str) {
    // SAFETY: pointer and length are of one live string. A line that cannot be logged is lost.
    let _ = unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
}

pub(crate) fn unix_ns() -> Result<u64, Status> {
    let mut ns = 0;
    // SAFETY: the host writes one u64 to a place that lives through the call.
    check(unsafe { proxy_get_current_time_nanoseconds(&raw mut ns) })?;
    Ok(ns)
}

pub(crate) fn monotonic_ns() -> Result<u64, Status> {
    const MONOTONIC: u32 = 1;
    let mut ns = 0;
    // SAFETY: the host writes one u64 to a place that lives through the call.
    check(unsafe { clock_time_get(MONOTONIC, 1_000_000, &raw mut ns) })?;
    Ok(ns)
}

pub(crate) fn plugin_configuration() -> Result<Vec<u8>, Status> {
    // SAFETY: the result is written to two places that live through the call.
    take(|data, size| unsafe {
        proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, usize::MAX, data, size)
    })
}

/// The first bytes of the response's body that wait, as many as there are.
pub(crate) fn response_body(size_max: usize) -> Result<Vec<u8>, Status> {
    // SAFETY: the result is written to two places that live through the call.
    take(|data, size| unsafe { proxy_get_buffer_bytes(RESPONSE_BODY, 0, size_max, data, size) })
}

/// Puts bytes in the place of the first `size` bytes of the response's body that wait.
pub(crate) fn replace_response_body(size: usize, bytes: &[u8]) -> Result<(), Status> {
    // SAFETY: pointer and length are of a live slice, which the host only reads.
    check(unsafe { proxy_set_buffer_bytes(RESPONSE_BODY, 0, size, bytes.as_ptr(), bytes.len()) })
}

pub(crate) fn close_response() -> Result<(), Status> {
    // SAFETY: only a number is passed.
    check(unsafe { proxy_close_stream(RESPONSE) })
}

pub(crate) fn header_pairs(map: Map) -> Result<Vec<u8>, Status> {
    // SAFETY: the result is written to two places that live through the call.
    take(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) })
}

pub(crate) fn replace_header(map: Map, name: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and lengths are of live slices, which the host only reads.
    check(unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

pub(crate) fn remove_header(map: Map, name: &[u8]) -> Result<(), Status> {
    // SAFETY: pointer and length are of a live slice, which the host only reads.
    check(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// An attribute; its path is joined by NUL. One that is there and has no bytes, such as a JSON null,
/// is not one that is not there.
pub(crate) fn property(path: &[u8]) -> Result<Option<Vec<u8>>, Status> {
    // SAFETY: the path is a live slice, the result goes to two places that live through the call.
    let value =
        take(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) });
    match value {
        Ok(value) => Ok(Some(value)),
        Err(Status(NOT_FOUND)) => Ok(None),
        Err(Status(SERIALIZATION_FAILURE)) => Ok(Some(Vec::new())),
        Err(status) => Err(status),
    }
}

pub(crate) fn set_property(path: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and lengths are of live slices, which the host only reads.
    check(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

/// The environment of the VM: `NAME=value`, each with a NUL behind it. (The C library, by way of
/// which the standard one looks, ends the process if it cannot, and that is a trap.)
pub(crate) fn environment() -> Result<Vec<u8>, Status> {
    let (mut count, mut size) = (0, 0);
    // SAFETY: the host writes two numbers to places that live through the call.
    check(unsafe { environ_sizes_get(&raw mut count, &raw mut size) })?;
    let mut variables = vec![null_mut(); count];
    let mut bytes = vec![0; size];
    // SAFETY: the host writes as many pointers and bytes as it has said just now, and nobody else
    // can have changed the environment in between.
    check(unsafe { environ_get(variables.as_mut_ptr(), bytes.as_mut_ptr()) })?;
    Ok(bytes)
}

/// A value that all VMs of one id share, whoever wrote it, and its number.
pub(crate) fn shared_data(key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Status> {
    let mut cas = 0;
    // SAFETY: the key is a live slice, the results go to three places that live through the call.
    let value = take(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas)
    });
    match value {
        Ok(value) => Ok(Some((value, cas))),
        Err(Status(NOT_FOUND)) => Ok(None),
        Err(status) => Err(status),
    }
}

/// Shares a value: where it has to replace a certain one, only if that is still there.
pub(crate) fn set_shared_data(key: &[u8], value: &[u8], cas: Option<u32>) -> Result<(), Status> {
    const ANY: u32 = 0;
    let cas = cas.unwrap_or(ANY);
    // SAFETY: pointers and lengths are of live slices, which the host only reads.
    check(unsafe {
        proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
    })
}

/// Makes a stream the one that calls are about.
pub(crate) fn set_context(id: u32) -> Result<(), Status> {
    // SAFETY: only a number is passed.
    check(unsafe { proxy_set_effective_context(id) })
}

/// Lets the request at hand go on that was paused.
pub(crate) fn continue_request() -> Result<(), Status> {
    const REQUEST: u32 = 0;
    // SAFETY: only a number is passed.
    check(unsafe { proxy_continue_stream(REQUEST) })
}

/// Calls a function that the host has beside the ABI.
pub(crate) fn foreign(name: &[u8], argument: &[u8]) -> Result<Vec<u8>, Status> {
    // SAFETY: pointers and lengths are of live slices, which the host only reads; the result is
    // written to two places that live through the call.
    take(|data, size| unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            argument.as_ptr(),
            argument.len(),
            data,
            size,
        )
    })
}

/// How often the root at hand is called, in milliseconds; 0 for never.
pub(crate) fn set_tick_period(period_ms: u32) -> Result<(), Status> {
    // SAFETY: only a number is passed.
    check(unsafe { proxy_set_tick_period_milliseconds(period_ms) })
}

/// Sends a request without a body; its answer comes under the number that is returned.
pub(crate) fn http_call(cluster: &[u8], headers: &[u8], timeout_ms: u32) -> Result<u32, Status> {
    // No trailers: the list of none.
    const NONE: [u8; 4] = 0_u32.to_le_bytes();
    let mut call = 0;
    // SAFETY: pointers and lengths are of live slices, which the host only reads; it writes one u32
    // to a place that lives through the call.
    check(unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            NONE.as_ptr(),
            0,
            NONE.as_ptr(),
            NONE.len(),
            timeout_ms,
            &raw mut call,
        )
    })?;
    Ok(call)
}

/// The first bytes of the body of an answer, this many at most.
pub(crate) fn answer_body(size_max: usize) -> Result<Vec<u8>, Status> {
    // SAFETY: the result is written to two places that live through the call.
    take(|data, size| unsafe { proxy_get_buffer_bytes(ANSWER_BODY, 0, size_max, data, size) })
}

pub(crate) fn send_local_response(
    status: u16,
    details: &str,
    headers: &[u8],
    body: &[u8],
    grpc_status: Option<u8>,
) -> Result<(), Status> {
    // SAFETY: pointers and lengths are of live slices, which the host only reads.
    check(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status.map_or(-1, i32::from),
        )
    })
}

pub(crate) fn define_metric(kind: MetricType, name: &str) -> Result<u32, Status> {
    let mut id = 0;
    // SAFETY: the name is a live string; the host writes one u32 to a place that lives through the
    // call.
    check(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

pub(crate) fn increment_metric(metric: u32, by: i64) -> Result<(), Status> {
    // SAFETY: only numbers are passed.
    check(unsafe { proxy_increment_metric(metric, by) })
}

pub(crate) fn record_metric(metric: u32, value: u64) -> Result<(), Status> {
    // SAFETY: only numbers are passed.
    check(unsafe { proxy_record_metric(metric, value) })
}

//! What the module asks of its host, and what it offers: Envoy refuses to load anything else.

use std::collections::BTreeSet;
use wasmparser::{Parser, Payload};

/// The WASI functions of Envoy 1.36, the oldest that is supported.
const WASI: &[&str] = &[
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_read",
    "fd_seek",
    "fd_write",
    "path_open",
    "poll_oneoff",
    "proc_exit",
    "random_get",
    "sched_yield",
];

/// The functions of ABI 0.2.1 that are called.
const ABI: &[&str] = &[
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

/// Larger than this, it is looked into: every proxy compiles it before it serves. Of it about 100
/// KiB are seals and signatures (HMAC-SHA-256, and a refused configuration read as far as it goes),
/// as much is the redaction of responses, and twice as much the strict reader of region state with
/// what VMs tell each other, and the second pass of a write.
const SIZE_MAX: usize = 1472 * 1024;

#[test]
fn the_module_fits_its_host() {
    assert!(module::WASM.len() < SIZE_MAX, "{} bytes", module::WASM.len());
    let mut imports = BTreeSet::new();
    let mut exports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module::WASM) {
        match payload.unwrap() {
            Payload::ImportSection(section) => {
                imports.extend(section.into_imports().map(|import| {
                    let import = import.unwrap();
                    (import.module.to_owned(), import.name.to_owned())
                }));
            }
            Payload::ExportSection(section) => {
                exports.extend(section.into_iter().map(|export| export.unwrap().name.to_owned()));
            }
            _ => {}
        }
    }
    for (from, name) in &imports {
        let known = match from.as_str() {
            "wasi_snapshot_preview1" => WASI.contains(&name.as_str()),
            "env" => ABI.contains(&name.as_str()),
            _ => false,
        };
        assert!(known, "{from}.{name}");
    }
    for name in [
        "memory",
        "_initialize",
        "proxy_abi_version_0_2_1",
        "proxy_on_memory_allocate",
        "proxy_on_vm_start",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_tick",
        "proxy_on_http_call_response",
        "proxy_on_request_headers",
        "proxy_on_request_body",
        "proxy_on_request_trailers",
        "proxy_on_response_headers",
        "proxy_on_response_body",
        "proxy_on_response_trailers",
        "proxy_on_done",
        "proxy_on_log",
        "proxy_on_delete",
    ] {
        assert!(exports.contains(name), "{name}");
    }
}

;;! title = "WASI has two names, and since 1.39 all of its functions are there"
;;! why = "Before 1.39 clock_res_get and most of files and sockets are missing: such a module is refused"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: old 0",
;;!     "info: resolution 0",
;;!     "info: socket 58",
;;!     "info: sync 0",
;;!     "info: unlink 58",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! [differs]
;;! why = "What loads here loads in every Envoy since 1.36"
;;! [differs.expect]
;;! refused = "due to a missing import: wasi_snapshot_preview1.clock_res_get"
(module
    (import "wasi_unstable" "random_get" (func $old (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_res_get" (func $res (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_shutdown" (func $socket (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_sync" (func $sync (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
    (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say @"old" (call $old (i32.const 256) (i32.const 16)))
        (call $say @"resolution" (call $res (i32.const 0) (i32.const 256)))
        (call $say @"socket" (call $socket (i32.const 3) (i32.const 0)))
        (call $say @"sync" (call $sync (i32.const 1)))
        (call $say @"unlink" (call $unlink (i32.const 3) @"x"))
        (i32.const 0)))

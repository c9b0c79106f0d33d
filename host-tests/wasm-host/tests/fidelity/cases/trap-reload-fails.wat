;;! title = "A new VM that says that its configuration is wrong refuses requests, until another one does not"
;;! [[plugin]]
;;! vm_id = "vm"
;;! failure_policy = "reload"
;;! [[request]]
;;! path = "/trap"
;;! [[request]]
;;! until_status = 200
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: trapped: Ok no",
;;!     "info: :path: Ok /trap",
;;!     "info: trapped: Ok yes",
;;!     "info: trapped: Ok no",
;;!     "info: :path: Ok /",
;;!     "info: :path: Ok /",
;;! ]
;;! main_log = [
;;!     "info: trapped: NotFound",
;;!     "info: trapped: Ok no",
;;! ]
;;! [expect.stats]
;;! "wasm.guest.vm_reload_failure" = 1
;;! "wasm.guest.vm_reload_success" = 1
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_configure") (param i32 i32) (result i32) (local $first i32)
        (call $show_shared @"trapped")
        (local.set $first (i32.load8_u (i32.load (i32.const 16))))
        ;; The next one is configured, if there is a next one.
        (drop (call $set_shared_data @"trapped" @"no" (i32.const 0)))
        (i32.ne (local.get $first) (i32.const 121)))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 0) @":path")
        (if (call $path_is @"/trap") (then
            (drop (call $set_shared_data @"trapped" @"yes" (i32.const 0)))
            unreachable))
        (i32.const 0)))

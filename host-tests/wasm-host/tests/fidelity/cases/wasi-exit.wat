;;! title = "To exit ends nothing"
;;! [[request]]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: still here",
;;!     "info: still here",
;;! ]
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
(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $exit (i32.const 3))
        (call $log @"still here")
        (i32.const 0)))

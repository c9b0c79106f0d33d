;;! title = "Statics of a VM begin anew when it is reloaded; shared data and metrics go on"
;;! [[plugin]]
;;! failure_policy = "reload"
;;! [[request]]
;;! [[request]]
;;! path = "/trap"
;;! [[request]]
;;! until_status = 200
;;! [expect]
;;! log = [
;;!     "info: stream, requests of this VM 2 1",
;;!     "info: a: NotFound",
;;!     "info: stream, requests of this VM 3 2",
;;!     "info: a: Ok kept",
;;!     "info: stream, requests of this VM 2 1",
;;!     "info: a: Ok kept",
;;! ]
;;! [expect.stats]
;;! "wasm.guest.vm_reload_success" = 1
;;! "wasmcustom.requests" = 3
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
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
    (global $count (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (call $say2 @"stream, requests of this VM" (local.get 0) (global.get $count))
        (call $show_shared @"a")
        (drop (call $set_shared_data @"a" @"kept" (i32.const 0)))
        (drop (call $increment_metric (call $metric (i32.const 0) @"requests") (i64.const 1)))
        (if (call $path_is @"/trap") (then unreachable))
        (i32.const 0)))

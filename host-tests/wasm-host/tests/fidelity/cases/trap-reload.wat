;;! title = "After a trap a filter that is reloaded serves the next request by a new VM"
;;! [[plugin]]
;;! failure_policy = "reload"
;;! [[request]]
;;! path = "/trap"
;;! [[request]]
;;! until_status = 200
;;! [[request]]
;;! path = "/trap"
;;! [[request]]
;;! until_status = 200
;;! [expect]
;;! log = [
;;!     "info: vm start",
;;!     "info: configure",
;;!     "info: request.path: Ok /trap",
;;!     "info: vm start",
;;!     "info: configure",
;;!     "info: request.path: Ok /",
;;!     "info: request.path: Ok /trap",
;;!     "info: vm start",
;;!     "info: configure",
;;!     "info: request.path: Ok /",
;;! ]
;;! main_log = [
;;!     "info: vm start",
;;!     "info: configure",
;;!     "info: vm start",
;;!     "info: configure",
;;! ]
;;! [expect.stats]
;;! "wasm.guest.vm_reload_success" = 2
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
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
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (call $log @"vm start") (i32.const 1))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $log @"configure") (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"request\00path")
        (if (i32.eq (i32.load (i32.const 20)) (i32.const 5)) (then unreachable))
        (i32.const 0)))

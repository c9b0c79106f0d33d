;;! title = "After a trap a filter that fails closed refuses every request of its worker"
;;! [[request]]
;;! [[request]]
;;! path = "/trap"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: request.path: Ok /",
;;!     "info: request.path: Ok /trap",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"request\00path")
        (if (i32.eq (i32.load (i32.const 20)) (i32.const 5)) (then unreachable))
        (i32.const 0)))

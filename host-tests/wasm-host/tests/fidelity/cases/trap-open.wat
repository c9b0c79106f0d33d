;;! title = "After a trap a filter that fails open is passed by, but the request that trapped is refused"
;;! [[plugin]]
;;! failure_policy = "open"
;;! [[request]]
;;! path = "/trap"
;;! [[request]]
;;! [[request]]
;;! path = "/trap"
;;! [expect]
;;! log = ["info: :path: Ok /trap"]
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
;;! request = "GET /trap"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 0) @":path")
        (if (call $path_is @"/trap") (then unreachable))
        (i32.const 0)))

;;! title = "A trap leaves other streams of the VM as they are: one that is paused hangs, one whose response comes later is refused then"
;;! [[plugin]]
;;! failure_policy = "reload"
;;! [[route]]
;;! prefix = "/awaited"
;;! cluster = "slow"
;;! [[route]]
;;! [cluster.slow]
;;! after = "Ok /trap"
;;! [[request]]
;;! path = "/paused"
;;! abandon = true
;;! [[request]]
;;! path = "/awaited"
;;! after = "Ok /paused"
;;! background = true
;;! [[request]]
;;! path = "/trap"
;;! after = "Ok /awaited"
;;! [expect]
;;! log = [
;;!     "info: :path: Ok /paused",
;;!     "info: :path: Ok /awaited",
;;!     "info: :path: Ok /trap",
;;! ]
;;! [[expect.answer]]
;;! status = 0
;;! cut = true
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.upstream]]
;;! cluster = "slow"
;;! request = "GET /awaited"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 0) @":path")
        (if (call $path_is @"/trap") (then unreachable))
        (call $path_is @"/paused"))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $log @"response") (i32.const 0)))

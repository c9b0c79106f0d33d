;;! title = "A trap in the answer to a call leaves a paused stream hanging, also if that is the effective context"
;;! [cluster.callee]
;;! [[request]]
;;! abandon = true
;;! [[request]]
;;! after = "log: answered"
;;! [expect]
;;! log = [
;;!     "info: call: Ok",
;;!     "info: answered",
;;! ]
;;! [[expect.answer]]
;;! status = 0
;;! cut = true
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.upstream]]
;;! cluster = "callee"
;;! request = "GET /call"
;;! headers = [
;;!     "host: callee",
;;!     "x-envoy-expected-rq-timeout-ms: 9000",
;;!     "x-envoy-internal: true",
;;! ]
(module (; prelude ;)
    (global $stream (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $stream (local.get 0))
        (call $get @"callee" (i32.const 9000))
        (i32.const 1))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $log @"answered")
        (drop (call $set_effective_context (global.get $stream)))
        unreachable))

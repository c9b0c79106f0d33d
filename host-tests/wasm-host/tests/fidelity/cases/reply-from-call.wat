;;! title = "A paused stream is replied to from the response to a call"
;;! [cluster.callee]
;;! status = 503
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: call: Ok",
;;!     "info: :status: Ok 503",
;;!     "info: reply: Ok",
;;!     "info: :path: Ok /",
;;!     "info: :status: Ok 403",
;;! ]
;;! [[expect.answer]]
;;! status = 403
;;! headers = [
;;!     "content-length: 2",
;;!     "content-type: text/plain",
;;! ]
;;! body = "no"
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
        (call $show_header (i32.const 6) @":status")
        (drop (call $set_effective_context (global.get $stream)))
        (call $reply (i32.const 403) @"no")
        (call $show_header (i32.const 0) @":path"))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @":status") (i32.const 0)))

;;! title = "Only a context that lives can be made the effective one, and only until the callback ends"
;;! [cluster.callee]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: 99: BadArgument",
;;!     "info: 0: Ok",
;;!     "info: -1: BadArgument",
;;!     "info: :path: Ok /",
;;!     "info: root: Ok",
;;!     "info: :path: BadArgument",
;;!     "info: call: Ok",
;;!     "info: called 1",
;;!     "info: :status: Ok 200",
;;!     "info: stream: Ok",
;;!     "info: :status: Ok 200",
;;!     "info: request.protocol: Ok HTTP/1.1",
;;!     "info: resume: Ok",
;;!     "info: :status: Ok 200",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "callee"
;;! request = "GET /call"
;;! headers = [
;;!     "host: callee",
;;!     "x-envoy-expected-rq-timeout-ms: 9000",
;;!     "x-envoy-internal: true",
;;! ]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (global $stream (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $stream (local.get 0))
        (call $status @"99" (call $set_effective_context (i32.const 99)))
        (call $status @"0" (call $set_effective_context (i32.const 0)))
        (call $status @"-1" (call $set_effective_context (i32.const -1)))
        (call $show_header (i32.const 0) @":path")
        (call $status @"root" (call $set_effective_context (i32.const 1)))
        (call $show_header (i32.const 0) @":path")
        (call $get @"callee" (i32.const 9000))
        (i32.const 1))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $say @"called" (local.get 0))
        (call $show_header (i32.const 6) @":status")
        (call $status @"stream" (call $set_effective_context (global.get $stream)))
        (call $show_header (i32.const 6) @":status")
        (call $show_property @"request\00protocol")
        (call $status @"resume" (call $continue_stream (i32.const 0))))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @":status") (i32.const 0)))

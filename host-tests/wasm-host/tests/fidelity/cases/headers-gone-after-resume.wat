;;! title = "Once resumed, the request's headers are gone, even in the callback that resumed it"
;;! [cluster.callee]
;;! [[request]]
;;! headers = ["x-a: 1"]
;;! [expect]
;;! log = [
;;!     "info: call: Ok",
;;!     "info: x-a: BadArgument",
;;!     "info: context: Ok",
;;!     "info: x-a: Ok 1",
;;!     "info: add: Ok",
;;!     "info: resume: Ok",
;;!     "info: x-a: BadArgument",
;;!     "info: request.path: NotFound",
;;!     "info: resume again: Ok",
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
;;! headers = [
;;!     "x-a: 1",
;;!     "x-b: 1",
;;! ]
(module (; prelude ;)
    (global $stream (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $stream (local.get 0))
        (call $get @"callee" (i32.const 9000))
        (i32.const 1))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $show_header (i32.const 0) @"x-a")
        (call $status @"context" (call $set_effective_context (global.get $stream)))
        (call $show_header (i32.const 0) @"x-a")
        (call $status @"add" (call $add_header (i32.const 0) @"x-b" @"1"))
        (call $status @"resume" (call $continue_stream (i32.const 0)))
        (call $show_header (i32.const 0) @"x-a")
        (call $show_property @"request\00path")
        (call $status @"resume again" (call $continue_stream (i32.const 0)))))

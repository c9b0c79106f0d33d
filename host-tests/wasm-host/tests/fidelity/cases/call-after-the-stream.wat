;;! title = "A call outlives the stream that made it, whose context is then unknown"
;;! until = ["context: "]
;;! [cluster.callee]
;;! after = "guest: delete"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: call: Ok",
;;!     "info: delete 2",
;;!     "info: answered 1",
;;!     "info: context: BadArgument",
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
        (call $get @"callee" (i32.const 9000))
        (i32.const 0))
    (func (export "proxy_on_delete") (param i32) (call $say @"delete" (local.get 0)))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $say @"answered" (local.get 0))
        (call $status @"context" (call $set_effective_context (global.get $stream)))))

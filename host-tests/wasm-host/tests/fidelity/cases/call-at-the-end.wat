;;! title = "A call can be made at the end of a stream"
;;! until = ["answered"]
;;! [cluster.callee]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: call: Ok",
;;!     "info: answered 1",
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
    (func (export "proxy_on_log") (param i32) (call $get @"callee" (i32.const 9000)))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $say @"answered" (local.get 0))))

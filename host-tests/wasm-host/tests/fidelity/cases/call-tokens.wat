;;! title = "Calls have tokens of their own, and their answers bring them back"
;;! until = ["second"]
;;! [cluster.callee]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: call: Ok",
;;!     "info: differ from 0 1",
;;!     "info: first",
;;!     "info: call: Ok",
;;!     "info: differ 1",
;;!     "info: second",
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
    (global $one (mut i32) (i32.const 0))
    (global $two (mut i32) (i32.const 0))
    (global $stream (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $stream (local.get 0))
        (call $get @"callee" (i32.const 9000))
        (global.set $one (i32.load (i32.const 24)))
        (call $say @"differ from 0" (i32.ne (global.get $one) (i32.const 0)))
        (i32.const 1))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (if (i32.eq (local.get 1) (global.get $one)) (then
            (call $log @"first")
            (call $get @"callee" (i32.const 9000))
            (global.set $two (i32.load (i32.const 24)))
            (call $say @"differ" (i32.ne (global.get $one) (global.get $two)))))
        (if (i32.eq (local.get 1) (global.get $two)) (then
            (call $log @"second")
            (drop (call $set_effective_context (global.get $stream)))
            (drop (call $continue_stream (i32.const 0)))))))

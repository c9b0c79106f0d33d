;;! title = "A call whose answer breaks off is a callback without headers, and a status that says so"
;;! [cluster.callee]
;;! failure = "cut"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: call: Ok",
;;!     "info: headers 0",
;;!     "info: body, trailers 0 0",
;;!     "info: :status: BadArgument",
;;!     "info: pairs 6: Ok 0 bytes",
;;!     "info: buffer 4 0 200: NotFound",
;;!     "info: status: Ok",
;;!     "info: code 11",
;;!     "info: reset",
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
        (i32.const 1))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $say @"headers" (local.get 2))
        (call $say2 @"body, trailers" (local.get 3) (local.get 4))
        (call $show_header (i32.const 6) @":status")
        (call $show_pairs (i32.const 6))
        (call $show_buffer (i32.const 4) (i32.const 0) (i32.const 200))
        (call $clear)
        (call $status @"status"
            (call $get_status (i32.const 24) (i32.const 16) (i32.const 20)))
        (call $say @"code" (i32.load (i32.const 24)))
        (call $log (i32.load (i32.const 16)) (i32.load (i32.const 20)))
        (drop (call $set_effective_context (global.get $stream)))
        (drop (call $continue_stream (i32.const 0)))))

;;! title = "A call whose upstream cannot be reached is answered with 503 by Envoy"
;;! [cluster.callee]
;;! failure = "refused"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: call: Ok",
;;!     "info: headers 3",
;;!     "info: body, trailers 98 0",
;;!     "info: :status: Ok 503",
;;!     "info: buffer 4 0 200: Ok upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
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
        (call $show_buffer (i32.const 4) (i32.const 0) (i32.const 200))
        (drop (call $set_effective_context (global.get $stream)))
        (drop (call $continue_stream (i32.const 0)))))

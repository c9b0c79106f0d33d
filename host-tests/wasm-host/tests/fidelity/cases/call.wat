;;! title = "A call's response is there in its callback, and gone after it"
;;! [cluster.callee]
;;! status = 207
;;! headers = ["x-a: 1", "x-a: 2"]
;;! body = ["ab", "cde"]
;;! trailers = ["x-t: 1"]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: call: Ok",
;;!     "info: context 1",
;;!     "info: headers 5",
;;!     "info: body, trailers 5 1",
;;!     "info: :status: Ok 207",
;;!     "info: x-a: Ok 1",
;;!     "info: x-t: Ok 1",
;;!     "info: pairs 7: Ok 18 bytes x-t=1",
;;!     "info: size 7: BadArgument 0",
;;!     "info: buffer 4: Ok length 5 flags 0",
;;!     "info: buffer 4 1 100: Ok bcde",
;;!     "info: add: BadArgument",
;;!     "info: set: BadArgument",
;;!     "info: after",
;;!     "info: :status: BadArgument",
;;!     "info: x-a: BadArgument",
;;!     "info: x-t: BadArgument",
;;!     "info: pairs 7: Ok 0 bytes",
;;!     "info: size 7: BadArgument 0",
;;!     "info: buffer 4: NotFound length 0 flags 0",
;;!     "info: buffer 4 1 100: NotFound",
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
    (func $all
        (call $show_header (i32.const 6) @":status")
        (call $show_header (i32.const 6) @"x-a")
        (call $show_header (i32.const 7) @"x-t")
        (call $show_pairs (i32.const 7))
        (call $show_size (i32.const 7))
        (call $show_buffer_status (i32.const 4))
        (call $show_buffer (i32.const 4) (i32.const 1) (i32.const 100)))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $stream (local.get 0))
        (call $get @"callee" (i32.const 9000))
        (i32.const 1))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $say @"context" (local.get 0))
        (call $say @"headers" (local.get 2))
        (call $say2 @"body, trailers" (local.get 3) (local.get 4))
        (call $all)
        (call $status @"add" (call $add_header (i32.const 6) @"x-b" @"1"))
        (call $status @"set" (call $set_buffer (i32.const 4) (i32.const 0) (i32.const 0) @"x"))
        (drop (call $set_effective_context (global.get $stream)))
        (drop (call $continue_stream (i32.const 0))))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $log @"after") (call $all) (i32.const 0)))

;;! title = "Pause on request headers holds the body back too"
;;! [[request]]
;;! method = "POST"
;;! body = ["one", "four"]
;;! background = true
;;! [[request]]
;;! path = "/resume"
;;! [expect]
;;! log = [
;;!     "info: headers, end 5 0",
;;!     "info: context: Ok",
;;!     "info: resume: Ok",
;;!     "info: body, end 7 1",
;;!     "info: buffer 0 0 100: Ok onefour",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "onefour"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /resume"
(module (; prelude ;)
    (global $stream (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (if (call $path_is @"/resume") (then
            (call $status @"context" (call $set_effective_context (global.get $stream)))
            (call $status @"resume" (call $continue_stream (i32.const 0)))
            (return (i32.const 0))))
        (call $say2 @"headers, end" (local.get 1) (local.get 2))
        (global.set $stream (local.get 0))
        (i32.const 1))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (call $show_buffer (i32.const 0) (i32.const 0) (i32.const 100))
        (i32.const 0)))

;;! title = "Pause on response headers holds all of it back until it is resumed; headers can be added to the end"
;;! [[route]]
;;! prefix = "/resume"
;;! direct = 204
;;! [[route]]
;;! [cluster.upstream]
;;! body = ["ab", "cde"]
;;! [[request]]
;;! background = true
;;! [[request]]
;;! path = "/resume"
;;! after_answers = 1
;;! [expect]
;;! log = [
;;!     "info: headers, end 2 0",
;;!     "info: context: Ok",
;;!     "info: add: Ok",
;;!     "info: resume: Ok",
;;!     "info: add: Ok",
;;!     "info: body, end 5 1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! headers = [
;;!     "x-late: 1",
;;!     "x-later: 1",
;;! ]
;;! body = "abcde"
;;! [[expect.answer]]
;;! status = 204
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (global $stream (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (if (call $path_is @"/resume") (then
            (call $status @"context" (call $set_effective_context (global.get $stream)))
            (call $status @"add" (call $add_header (i32.const 2) @"x-late" @"1"))
            (call $status @"resume" (call $continue_stream (i32.const 1)))
            (call $status @"add" (call $add_header (i32.const 2) @"x-later" @"1"))
            (global.set $stream (i32.const -1))))
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (if (i32.eq (global.get $stream) (i32.const -1)) (then (return (i32.const 0))))
        (call $say2 @"headers, end" (local.get 1) (local.get 2))
        (global.set $stream (local.get 0))
        (i32.const 1))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (i32.const 0)))

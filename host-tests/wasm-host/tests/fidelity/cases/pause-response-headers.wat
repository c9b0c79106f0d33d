;;! title = "Pause on response headers holds all of it back until it is resumed"
;;! [cluster.upstream]
;;! body = ["ab", "cde"]
;;! [[request]]
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
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (global $stream (mut i32) (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $say2 @"headers, end" (local.get 1) (local.get 2))
        (global.set $stream (local.get 0))
        (i32.const 1))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $set_tick (i32.const 100))) (i32.const 1))
    (func (export "proxy_on_tick") (param i32)
        (if (global.get $stream) (then
            (drop (call $set_tick (i32.const 0)))
            (call $status @"context" (call $set_effective_context (global.get $stream)))
            (call $status @"add" (call $add_header (i32.const 2) @"x-late" @"1"))
            (call $status @"resume" (call $continue_stream (i32.const 1)))
            (call $status @"add" (call $add_header (i32.const 2) @"x-later" @"1")))))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (i32.const 0)))

;;! title = "Trailers that are held go on when their stream is resumed, and the body kept before them with them"
;;! [[request]]
;;! method = "POST"
;;! body = ["one", "four"]
;;! trailers = ["x-t: 1"]
;;! [expect]
;;! log = [
;;!     "info: body, end 3 0",
;;!     "info: body, end 7 0",
;;!     "info: trailers",
;;!     "info: x-t: Ok 1",
;;!     "info: add: Ok",
;;!     "info: resume: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "onefour"
;;! trailers = [
;;!     "x-t: 1",
;;!     "x-u: 2",
;;! ]
(module (; prelude ;)
    (global $stream (mut i32) (i32.const 0))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (i32.const 1))
    (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
        (call $log @"trailers")
        (global.set $stream (local.get 0))
        (drop (call $set_tick (i32.const 20)))
        (i32.const 1))
    (func (export "proxy_on_tick") (param i32)
        (drop (call $set_tick (i32.const 0)))
        (drop (call $set_effective_context (global.get $stream)))
        (call $show_header (i32.const 1) @"x-t")
        (call $status @"add" (call $add_header (i32.const 1) @"x-u" @"2"))
        (call $status @"resume" (call $continue_stream (i32.const 0)))))

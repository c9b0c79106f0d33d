;;! title = "A body that is kept goes on when its stream is resumed from outside"
;;! [cluster.upstream]
;;! body = ["ab", "cde"]
;;! [[request]]
;;! method = "POST"
;;! body = ["one", "four"]
;;! [expect]
;;! log = [
;;!     "info: request, end 3 0",
;;!     "info: request, end 7 0",
;;!     "info: request, end 7 1",
;;!     "info: resume: Ok",
;;!     "info: response, end 2 0",
;;!     "info: response, end 5 0",
;;!     "info: response, end 5 1",
;;!     "info: resume: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "abcde"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "onefour"
(module (; prelude ;)
    (global $stream (mut i32) (i32.const 0))
    (global $way (mut i32) (i32.const 0))
    (func $await (param $stream i32) (param $way i32)
        (global.set $stream (local.get $stream))
        (global.set $way (local.get $way))
        (drop (call $set_tick (i32.const 20))))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"request, end" (local.get 1) (local.get 2))
        (if (local.get 2) (then (call $await (local.get 0) (i32.const 0))))
        (i32.const 1))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"response, end" (local.get 1) (local.get 2))
        (if (local.get 2) (then (call $await (local.get 0) (i32.const 1))))
        (i32.const 1))
    (func (export "proxy_on_tick") (param i32)
        (drop (call $set_tick (i32.const 0)))
        (drop (call $set_effective_context (global.get $stream)))
        (call $status @"resume" (call $continue_stream (global.get $way)))))

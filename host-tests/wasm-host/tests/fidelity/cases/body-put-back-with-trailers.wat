;;! title = "A body that was taken out piece by piece can be put back in the trailers' callback"
;;! [cluster.upstream]
;;! body = ["ab", "cde"]
;;! trailers = ["x-t: 1"]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: body, end 2 0",
;;!     "info: drain: Ok",
;;!     "info: body, end 3 0",
;;!     "info: drain: Ok",
;;!     "info: buffer 1 0 100: Ok ",
;;!     "info: put: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "whole"
;;! trailers = ["x-t: 1"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (call $status @"drain" (call $set_buffer (i32.const 1)
            (i32.const 0) (local.get 1) (i32.const 0) (i32.const 0)))
        (i32.const 1))
    (func (export "proxy_on_response_trailers") (param i32 i32) (result i32)
        (call $show_buffer (i32.const 1) (i32.const 0) (i32.const 100))
        (call $status @"put" (call $set_buffer (i32.const 1)
            (i32.const 0) (i32.const 0) @"whole"))
        (i32.const 0)))

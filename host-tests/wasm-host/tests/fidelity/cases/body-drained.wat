;;! title = "A body can be taken out piece by piece and be put back at the end"
;;! [cluster.upstream]
;;! body = ["ab", "cde"]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: body, end 2 0",
;;!     "info: buffer 1 0 100: Ok ab",
;;!     "info: drain: Ok",
;;!     "info: body, end 3 0",
;;!     "info: buffer 1 0 100: Ok cde",
;;!     "info: drain: Ok",
;;!     "info: body, end 0 1",
;;!     "info: buffer 1 0 100: Ok ",
;;!     "info: drain: Ok",
;;!     "info: put: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "whole"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (call $show_buffer (i32.const 1) (i32.const 0) (i32.const 100))
        (call $status @"drain" (call $set_buffer (i32.const 1)
            (i32.const 0) (local.get 1) (i32.const 0) (i32.const 0)))
        (if (i32.eqz (local.get 2)) (then (return (i32.const 1))))
        (call $status @"put" (call $set_buffer (i32.const 1)
            (i32.const 0) (i32.const 0) @"whole"))
        (i32.const 0)))

;;! title = "With trailers the body never says that it ends; what was kept goes with the trailers"
;;! [cluster.upstream]
;;! body = ["ab", "cde"]
;;! trailers = ["x-t: 1"]
;;! [[request]]
;;! method = "POST"
;;! body = ["one", "four"]
;;! trailers = ["x-t: 1"]
;;! [expect]
;;! log = [
;;!     "info: body, end 3 0",
;;!     "info: body, end 7 0",
;;!     "info: buffer 0 0 100: Ok onefour",
;;!     "info: buffer 0: Ok length 7 flags 0",
;;!     "info: body, end 2 0",
;;!     "info: body, end 5 0",
;;!     "info: buffer 1 0 100: Ok abcde",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "abcde"
;;! trailers = ["x-t: 1"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "onefour"
;;! trailers = ["x-t: 1"]
(module (; prelude ;)
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2)) (i32.const 1))
    (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
        (call $show_buffer (i32.const 0) (i32.const 0) (i32.const 100))
        (call $show_buffer_status (i32.const 0))
        (i32.const 0))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2)) (i32.const 1))
    (func (export "proxy_on_response_trailers") (param i32 i32) (result i32)
        (call $show_buffer (i32.const 1) (i32.const 0) (i32.const 100))
        (i32.const 0)))

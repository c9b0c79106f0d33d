;;! title = "Pause keeps what came of a body, and the next piece is shown with all before it"
;;! [cluster.upstream]
;;! body = ["ab", "cde"]
;;! [[request]]
;;! method = "POST"
;;! body = ["one", "four"]
;;! [expect]
;;! log = [
;;!     "info: body, end 3 0",
;;!     "info: buffer 0 0 100: Ok one",
;;!     "info: body, end 7 0",
;;!     "info: buffer 0 0 100: Ok onefour",
;;!     "info: body, end 7 1",
;;!     "info: buffer 0 0 100: Ok onefour",
;;!     "info: body, end 2 0",
;;!     "info: buffer 1 0 100: Ok ab",
;;!     "info: body, end 5 0",
;;!     "info: buffer 1 0 100: Ok abcde",
;;!     "info: body, end 5 1",
;;!     "info: buffer 1 0 100: Ok abcde",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "abcde"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "onefour"
(module (; prelude ;)
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (call $show_buffer (i32.const 0) (i32.const 0) (i32.const 100))
        (i32.eqz (local.get 2)))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (call $show_buffer (i32.const 1) (i32.const 0) (i32.const 100))
        (i32.eqz (local.get 2))))

;;! title = "Trailers that did not come can be added at the end of the body, and only there"
;;! [[request]]
;;! method = "POST"
;;! body = ["one"]
;;! [expect]
;;! log = [
;;!     "info: add: Ok",
;;!     "info: pairs 1: Ok 18 bytes x-t=1",
;;!     "info: add: Ok",
;;!     "info: pairs 3: Ok 18 bytes x-t=1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! trailers = ["x-t: 1"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "one"
;;! trailers = ["x-t: 1"]
(module (; prelude ;)
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (if (local.get 2) (then
            (call $status @"add" (call $add_header (i32.const 1) @"x-t" @"1"))
            (call $show_pairs (i32.const 1))))
        (i32.const 0))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (if (local.get 2) (then
            (call $status @"add" (call $add_header (i32.const 3) @"x-t" @"1"))
            (call $show_pairs (i32.const 3))))
        (i32.const 0)))

;;! title = "A body comes piece by piece, and the last one is empty and says that it is the end"
;;! [cluster.upstream]
;;! body = ["ab", "cde"]
;;! [[request]]
;;! method = "POST"
;;! body = ["one", "four"]
;;! [[request]]
;;! method = "POST"
;;! headers = ["content-length: 7"]
;;! body = ["one", "four"]
;;! [expect]
;;! log = [
;;!     "info: headers, end 0",
;;!     "info: body, end 3 0",
;;!     "info: buffer 0 0 100: Ok one",
;;!     "info: body, end 4 0",
;;!     "info: buffer 0 0 100: Ok four",
;;!     "info: body, end 0 1",
;;!     "info: buffer 0 0 100: Ok ",
;;!     "info: headers, end 0",
;;!     "info: body, end 2 0",
;;!     "info: buffer 1 0 100: Ok ab",
;;!     "info: body, end 3 0",
;;!     "info: buffer 1 0 100: Ok cde",
;;!     "info: body, end 0 1",
;;!     "info: buffer 1 0 100: Ok ",
;;!     "info: headers, end 0",
;;!     "info: body, end 3 0",
;;!     "info: buffer 0 0 100: Ok one",
;;!     "info: body, end 4 0",
;;!     "info: buffer 0 0 100: Ok four",
;;!     "info: body, end 0 1",
;;!     "info: buffer 0 0 100: Ok ",
;;!     "info: headers, end 0",
;;!     "info: body, end 2 0",
;;!     "info: buffer 1 0 100: Ok ab",
;;!     "info: body, end 3 0",
;;!     "info: buffer 1 0 100: Ok cde",
;;!     "info: body, end 0 1",
;;!     "info: buffer 1 0 100: Ok ",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "abcde"
;;! [[expect.answer]]
;;! status = 200
;;! body = "abcde"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "onefour"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! headers = ["content-length: 7"]
;;! body = "onefour"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say @"headers, end" (local.get 2)) (i32.const 0))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (call $show_buffer (i32.const 0) (i32.const 0) (i32.const 100))
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $say @"headers, end" (local.get 2)) (i32.const 0))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (call $show_buffer (i32.const 1) (i32.const 0) (i32.const 100))
        (i32.const 0)))

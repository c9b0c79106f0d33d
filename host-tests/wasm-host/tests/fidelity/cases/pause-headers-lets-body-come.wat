;;! title = "Pause on request headers lets the body come if that is allowed, and Continue there undoes it"
;;! [[plugin]]
;;! allow_on_headers_stop_iteration = true
;;! [[request]]
;;! method = "POST"
;;! body = ["one", "four"]
;;! [expect]
;;! log = [
;;!     "info: headers, end 5 0",
;;!     "info: body, end 3 0",
;;!     "info: buffer 0 0 100: Ok one",
;;!     "info: :path: Ok /",
;;!     "info: body, end 7 0",
;;!     "info: buffer 0 0 100: Ok onefour",
;;!     "info: :path: Ok /",
;;!     "info: body, end 7 1",
;;!     "info: buffer 0 0 100: Ok onefour",
;;!     "info: :path: Ok /",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "onefour"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say2 @"headers, end" (local.get 1) (local.get 2))
        (i32.const 1))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (call $show_buffer (i32.const 0) (i32.const 0) (i32.const 100))
        (call $show_header (i32.const 0) @":path")
        (i32.eqz (local.get 2))))

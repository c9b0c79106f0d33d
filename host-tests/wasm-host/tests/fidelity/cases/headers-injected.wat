;;! title = "Line breaks in a value that a guest sets are accepted by the call, and refused where they would leave"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: add: Ok",
;;!     'info: x-a: Ok 1\x0d\x0ax-b: 2',
;;!     "info: x-b: NotFound",
;;! ]
;;! [[expect.answer]]
;;! status = 503
;;! headers = [
;;!     "content-length: 29",
;;!     "content-type: text/plain",
;;! ]
;;! body = "invalid header value for: x-a"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"add" (call $add_header (i32.const 0) @"x-a" @"1\0d\0ax-b: 2"))
        (call $show_header (i32.const 0) @"x-a")
        (call $show_header (i32.const 0) @"x-b")
        (i32.const 0)))

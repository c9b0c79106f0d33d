;;! title = "Values need not be UTF-8, in either direction"
;;! [[request]]
;;! headers = ["x-a: ä"]
;;! [expect]
;;! log = [
;;!     'info: x-a: Ok \xc3\xa4',
;;!     "info: add: Ok",
;;!     "info: add: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! headers = ['x-b: \x80\xff']
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! headers = [
;;!     'x-a: \xc3\xa4',
;;!     'x-b: \x80\xff',
;;! ]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 0) @"x-a")
        (call $status @"add" (call $add_header (i32.const 0) @"x-b" @"\80\ff"))
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $status @"add" (call $add_header (i32.const 2) @"x-b" @"\80\ff"))
        (i32.const 0)))

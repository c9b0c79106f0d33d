;;! title = "Response headers can be held until the body has come if that is allowed, and be changed then"
;;! [[plugin]]
;;! allow_on_headers_stop_iteration = true
;;! [cluster.upstream]
;;! body = ["ab", "cde"]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: body, end 2 0",
;;!     "info: body, end 5 0",
;;!     "info: body, end 5 1",
;;!     "info: add: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! headers = ["x-late: 1"]
;;! body = "abcde"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (i32.const 1))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (if (i32.eqz (local.get 2)) (then (return (i32.const 1))))
        (call $status @"add" (call $add_header (i32.const 2) @"x-late" @"1"))
        (i32.const 0)))

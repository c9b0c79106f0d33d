;;! title = "A response without a body ends with its headers"
;;! [cluster.upstream]
;;! body = []
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: headers, end 1",
;;!     "info: headers, end 1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! headers = ["content-length: 0"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say @"headers, end" (local.get 2)) (i32.const 0))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2)) (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $say @"headers, end" (local.get 2)) (i32.const 0))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2)) (i32.const 0)))

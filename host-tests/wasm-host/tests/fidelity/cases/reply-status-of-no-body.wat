;;! title = "A reply of 204 keeps its body and says how long it is"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: reply: Ok",
;;!     "info: headers, end 0",
;;! ]
;;! [[expect.answer]]
;;! status = 204
;;! headers = [
;;!     "content-length: 4",
;;!     "content-type: text/plain",
;;! ]
;;! body = "body"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $reply (i32.const 204) @"body")
        (i32.const 1))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $say @"headers, end" (local.get 2)) (i32.const 0)))

;;! title = "A reply to HEAD has the length of its body and no body"
;;! [[request]]
;;! method = "HEAD"
;;! [expect]
;;! log = ["info: reply: Ok"]
;;! [[expect.answer]]
;;! status = 403
;;! headers = [
;;!     "content-length: 4",
;;!     "content-type: text/plain",
;;! ]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $reply (i32.const 403) @"body")
        (i32.const 1)))

;;! title = "Of two replies in one callback the first one counts"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: reply: Ok",
;;!     "info: reply: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 401
;;! headers = [
;;!     "content-length: 3",
;;!     "content-type: text/plain",
;;! ]
;;! body = "one"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $reply (i32.const 401) @"one")
        (call $reply (i32.const 402) @"two")
        (i32.const 1)))

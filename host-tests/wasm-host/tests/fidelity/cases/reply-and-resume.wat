;;! title = "A stream that was resumed before it is replied to is still replied to"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: reply: Ok",
;;!     "info: resume: Ok",
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
        (call $status @"resume" (call $continue_stream (i32.const 0)))
        (i32.const 1)))

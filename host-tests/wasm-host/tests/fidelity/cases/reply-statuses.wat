;;! title = "A status of a reply may be any number"
;;! [[request]]
;;! headers = ["x-status: a"]
;;! [[request]]
;;! headers = ["x-status: b"]
;;! [[request]]
;;! headers = ["x-status: c"]
;;! [expect]
;;! log = [
;;!     "info: reply: Ok",
;;!     "info: reply: Ok",
;;!     "info: reply: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 299
;;! headers = [
;;!     "content-length: 1",
;;!     "content-type: text/plain",
;;! ]
;;! body = "a"
;;! [[expect.answer]]
;;! status = 599
;;! headers = [
;;!     "content-length: 1",
;;!     "content-type: text/plain",
;;! ]
;;! body = "b"
;;! [[expect.answer]]
;;! status = 999
;;! headers = [
;;!     "content-length: 1",
;;!     "content-type: text/plain",
;;! ]
;;! body = "c"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (if (call $header_is @"x-status" @"a") (then (call $reply (i32.const 299) @"a")))
        (if (call $header_is @"x-status" @"b") (then (call $reply (i32.const 599) @"b")))
        (if (call $header_is @"x-status" @"c") (then (call $reply (i32.const 999) @"c")))
        (i32.const 1)))

;;! title = "A reply from the request's trailers is sent"
;;! [[request]]
;;! method = "POST"
;;! body = ["one"]
;;! trailers = ["x-t: 1"]
;;! [expect]
;;! log = ["info: reply: Ok"]
;;! [[expect.answer]]
;;! status = 403
;;! headers = [
;;!     "content-length: 2",
;;!     "content-type: text/plain",
;;! ]
;;! body = "no"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! cut = true
(module (; prelude ;)
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
        (call $reply (i32.const 403) @"no")
        (i32.const 1)))

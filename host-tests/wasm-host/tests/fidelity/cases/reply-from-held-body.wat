;;! title = "A reply from a body whose headers were held leaves nothing to the upstream"
;;! [[plugin]]
;;! allow_on_headers_stop_iteration = true
;;! [[request]]
;;! method = "POST"
;;! body = ["one", "four"]
;;! [expect]
;;! log = [
;;!     "info: body, end 3 0",
;;!     "info: body, end 7 0",
;;!     "info: body, end 7 1",
;;!     "info: reply: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 403
;;! headers = [
;;!     "content-length: 2",
;;!     "content-type: text/plain",
;;! ]
;;! body = "no"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (if (local.get 2) (then (call $reply (i32.const 403) @"no")))
        (i32.const 1)))

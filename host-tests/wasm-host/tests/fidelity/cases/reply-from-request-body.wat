;;! title = "A reply from the request's body is sent, and the upstream sees the request end early"
;;! [[request]]
;;! method = "POST"
;;! body = ["one", "four"]
;;! [expect]
;;! log = [
;;!     "info: body, end 3 0",
;;!     "info: reply: Ok",
;;!     "info: :status: Ok 403",
;;! ]
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
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (call $reply (i32.const 403) @"no")
        (i32.const 1))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @":status") (i32.const 0)))

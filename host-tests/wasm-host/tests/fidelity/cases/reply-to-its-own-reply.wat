;;! title = "A reply to a reply of one's own takes its place"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: reply: Ok",
;;!     "info: :status: Ok 401",
;;!     "info: reply: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 402
;;! headers = [
;;!     "content-length: 3",
;;!     "content-type: text/plain",
;;! ]
;;! body = "two"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $reply (i32.const 401) @"one")
        (i32.const 1))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @":status")
        (call $reply (i32.const 402) @"two")
        (i32.const 1)))

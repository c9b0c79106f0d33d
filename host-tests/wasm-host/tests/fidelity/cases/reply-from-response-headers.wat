;;! title = "A reply from response headers takes their place, and does not come by again"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: :status: Ok 200",
;;!     "info: reply: Ok",
;;!     "info: :status: Ok 502",
;;!     "info: response.code_details: Ok by_the_guest",
;;! ]
;;! [[expect.answer]]
;;! status = 502
;;! headers = [
;;!     "content-length: 2",
;;!     "content-type: text/plain",
;;! ]
;;! body = "no"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @":status")
        (call $reply (i32.const 502) @"no")
        (i32.const 1))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2)) (i32.const 0))
    (func (export "proxy_on_log") (param i32)
        (call $show_header (i32.const 2) @":status")
        (call $show_property @"response\00code_details")))

;;! title = "A reply from request headers is sent when the callback returns, whatever that says"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: reply: Ok",
;;!     "info: still here",
;;!     "info: :status: Ok 418",
;;!     "info: response.code_details: Ok by_the_guest",
;;!     "info: body, end 6 1",
;;!     "info: log",
;;!     'info: response.code: Ok \xa2\x01\x00\x00\x00\x00\x00\x00',
;;!     "info: done",
;;!     "info: delete",
;;! ]
;;! [[expect.answer]]
;;! status = 418
;;! headers = [
;;!     "content-length: 6",
;;!     "content-type: text/plain",
;;!     "x-own: 1",
;;! ]
;;! body = "teapot"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $reply (i32.const 418) @"teapot")
        (call $log @"still here")
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @":status")
        (call $show_property @"response\00code_details")
        (drop (call $add_header (i32.const 2) @"x-own" @"1"))
        (i32.const 0))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (i32.const 0))
    (func (export "proxy_on_done") (param i32) (result i32)
        (call $log @"done") (i32.const 1))
    (func (export "proxy_on_log") (param i32)
        (call $log @"log")
        (call $show_property @"response\00code"))
    (func (export "proxy_on_delete") (param i32) (call $log @"delete")))

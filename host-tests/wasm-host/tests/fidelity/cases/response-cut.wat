;;! title = "A response that breaks off has no end; on_log tells why"
;;! [cluster.upstream]
;;! failure = "cut"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: body, end 5 0",
;;!     'info: response.code: Ok \xc8\x00\x00\x00\x00\x00\x00\x00',
;;!     'info: response.flags: Ok \x00\x00\x80\x00\x00\x00\x00\x00',
;;!     "info: response.code_details: Ok upstream_reset_after_response_started{protocol_error}",
;;!     "info: done",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! cut = true
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2)) (i32.const 0))
    (func (export "proxy_on_log") (param i32)
        (call $show_property @"response\00code")
        (call $show_property @"response\00flags")
        (call $show_property @"response\00code_details"))
    (func (export "proxy_on_done") (param i32) (result i32) (call $log @"done") (i32.const 1)))

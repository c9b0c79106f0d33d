;;! title = "A response can be closed in its body: what was taken out of it never leaves"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: drain: Ok",
;;!     "info: close: Ok",
;;!     "info: response.code_details: Ok via_upstream",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! cut = true
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $status @"drain" (call $set_buffer (i32.const 1)
            (i32.const 0) (local.get 1) (i32.const 0) (i32.const 0)))
        (call $status @"close" (call $close_stream (i32.const 1)))
        (i32.const 1))
    (func (export "proxy_on_log") (param i32)
        (call $show_property @"response\00code_details")))

;;! title = "The status of a response can be replaced"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: headers, end 2 0",
;;!     "info: replace: Ok",
;;!     'info: response.code: Ok \xc8\x00\x00\x00\x00\x00\x00\x00',
;;! ]
;;! [[expect.answer]]
;;! status = 202
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $say2 @"headers, end" (local.get 1) (local.get 2))
        (call $status @"replace" (call $replace_header (i32.const 2) @":status" @"202"))
        (call $show_property @"response\00code")
        (i32.const 0)))

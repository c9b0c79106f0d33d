;;! title = "Headers of a reply are added, but for the status and the content-length"
;;! why = "Blanks of the details become underscores"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: reply: Ok",
;;!     'info: response.code_details: Ok some_details,_(in)_"words"',
;;! ]
;;! [[expect.answer]]
;;! status = 403
;;! headers = [
;;!     "content-length: 2",
;;!     "content-type: application/json",
;;!     "x-a: 1",
;;!     "x-a: 2",
;;! ]
;;! body = "{}"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"reply" (call $send_local_response (i32.const 403)
            @"some details, (in) \"words\"" @"{}"
            @"\05\00\00\00\0c\00\00\00\10\00\00\00\03\00\00\00\01\00\00\00\03\00\00\00\01\00\00\00\0e\00\00\00\01\00\00\00\07\00\00\00\03\00\00\00content-type\00application/json\00x-a\001\00X-A\002\00content-length\009\00:status\00200\00"
            (i32.const -1)))
        (i32.const 1))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"response\00code_details") (i32.const 0)))

;;! title = "A request without a path finds no route"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: remove: Ok",
;;!     "info: :path: NotFound",
;;!     "info: response.code_details: Ok route_not_found",
;;! ]
;;! [[expect.answer]]
;;! status = 404
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"remove" (call $remove_header (i32.const 0) @":path"))
        (call $show_header (i32.const 0) @":path")
        (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $show_property @"response\00code_details")))

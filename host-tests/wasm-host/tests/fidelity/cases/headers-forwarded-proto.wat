;;! title = "Without x-forwarded-proto no route is found"
;;! why = "Envoy sets it where requests come in, and its router insists"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: x-forwarded-proto: Ok http",
;;!     "info: response.code_details: Ok route_not_found",
;;! ]
;;! [[expect.answer]]
;;! status = 404
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 0) @"x-forwarded-proto")
        (drop (call $remove_header (i32.const 0) @"x-forwarded-proto"))
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"response\00code_details")
        (i32.const 0)))

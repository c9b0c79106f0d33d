;;! title = "A request without a route passes the filters before it is refused"
;;! [[route]]
;;! prefix = "/elsewhere"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: xds.route_name: NotFound",
;;!     "info: xds.cluster_name: NotFound",
;;!     "info: response.code_details: Ok route_not_found",
;;!     'info: response.flags: Ok \x00\x01\x00\x00\x00\x00\x00\x00',
;;! ]
;;! [[expect.answer]]
;;! status = 404
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"xds\00route_name")
        (call $show_property @"xds\00cluster_name")
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"response\00code_details")
        (call $show_property @"response\00flags")
        (i32.const 0)))

;;! title = "A route that answers itself does so after the filters"
;;! [[route]]
;;! name = "direct"
;;! direct = 418
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: xds.route_name: Ok direct",
;;!     "info: xds.cluster_name: NotFound",
;;!     "info: :status: Ok 418",
;;!     "info: response.code_details: Ok direct_response",
;;! ]
;;! [[expect.answer]]
;;! status = 418
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_property @"xds\00route_name")
        (call $show_property @"xds\00cluster_name")
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @":status")
        (call $show_property @"response\00code_details")
        (i32.const 0)))

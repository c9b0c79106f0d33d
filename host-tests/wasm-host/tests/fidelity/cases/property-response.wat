;;! title = "Properties of a response, at its headers and in on_log"
;;! [cluster.upstream]
;;! headers = ["x-a: 1"]
;;! trailers = ["x-t: 1", "grpc-status: 5"]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     'info: response.code: Ok \xc8\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: response.code_details: Ok via_upstream",
;;!     'info: response.flags: Ok \x00\x00\x00\x00\x00\x00\x00\x00',
;;!     'info: response.grpc_status: Ok \x02\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: response.headers.x-a: Ok 1",
;;!     "info: response.trailers.x-t: NotFound",
;;!     'info: response.size: Ok \x00\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: response.total_size: Ok 8 bytes",
;;!     "info: response.backend_latency: NotFound 0 bytes",
;;!     "info: request.duration: NotFound 0 bytes",
;;!     "info: log",
;;!     'info: response.code: Ok \xc8\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: response.code_details: Ok via_upstream",
;;!     'info: response.flags: Ok \x00\x00\x00\x00\x00\x00\x00\x00',
;;!     'info: response.grpc_status: Ok \x05\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: response.headers.x-a: Ok 1",
;;!     "info: response.trailers.x-t: Ok 1",
;;!     'info: response.size: Ok \x05\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: response.total_size: Ok 8 bytes",
;;!     "info: response.backend_latency: Ok 8 bytes",
;;!     "info: request.duration: Ok 8 bytes",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! headers = ["x-a: 1"]
;;! body = "hello"
;;! trailers = [
;;!     "grpc-status: 5",
;;!     "x-t: 1",
;;! ]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $all
        (call $show_property @"response\00code")
        (call $show_property @"response\00code_details")
        (call $show_property @"response\00flags")
        (call $show_property @"response\00grpc_status")
        (call $show_property @"response\00headers\00x-a")
        (call $show_property @"response\00trailers\00x-t")
        (call $show_property @"response\00size")
        (call $show_property_size @"response\00total_size")
        (call $show_property_size @"response\00backend_latency")
        (call $show_property_size @"request\00duration"))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $all) (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $log @"log") (call $all)))

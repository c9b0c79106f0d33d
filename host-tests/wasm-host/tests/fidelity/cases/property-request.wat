;;! title = "Properties of a request, before its response"
;;! [[request]]
;;! method = "POST"
;;! path = "/a/b?c=d&e"
;;! headers = ["user-agent: me", "referer: here", "x-request-id: 7"]
;;! body = ["four"]
;;! [expect]
;;! log = [
;;!     "info: request.path: Ok /a/b?c=d&e",
;;!     "info: request.url_path: Ok /a/b",
;;!     "info: request.host: Ok fidelity.example",
;;!     "info: request.scheme: Ok http",
;;!     "info: request.method: Ok POST",
;;!     "info: request.query: Ok c=d&e",
;;!     "info: request.useragent: Ok me",
;;!     "info: request.referer: Ok here",
;;!     "info: request.id: Ok 7",
;;!     "info: request.protocol: Ok HTTP/1.1",
;;!     'info: request.size: Ok \x00\x00\x00\x00\x00\x00\x00\x00',
;;!     'info: request.total_size: Ok x\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: request.time: Ok 8 bytes",
;;!     "info: request.duration: NotFound 0 bytes",
;;!     "info: response.code: NotFound",
;;!     'info: response.flags: Ok \x00\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: response.code_details: NotFound",
;;!     "info: response.headers.x-a: NotFound",
;;!     'info: response.size: Ok \x00\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: request.path: Ok /a/b?c=d&e",
;;!     "info: request.url_path: Ok /a/b",
;;!     "info: request.host: Ok fidelity.example",
;;!     "info: request.scheme: Ok http",
;;!     "info: request.method: Ok POST",
;;!     "info: request.query: Ok c=d&e",
;;!     "info: request.useragent: Ok me",
;;!     "info: request.referer: Ok here",
;;!     "info: request.id: Ok 7",
;;!     "info: request.protocol: Ok HTTP/1.1",
;;!     'info: request.size: Ok \x04\x00\x00\x00\x00\x00\x00\x00',
;;!     'info: request.total_size: Ok |\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: request.time: Ok 8 bytes",
;;!     "info: request.duration: Ok 8 bytes",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /a/b?c=d&e"
;;! headers = [
;;!     "referer: here",
;;!     "user-agent: me",
;;! ]
;;! body = "four"
(module (; prelude ;)
    (func $all
        (call $show_property @"request\00path")
        (call $show_property @"request\00url_path")
        (call $show_property @"request\00host")
        (call $show_property @"request\00scheme")
        (call $show_property @"request\00method")
        (call $show_property @"request\00query")
        (call $show_property @"request\00useragent")
        (call $show_property @"request\00referer")
        (call $show_property @"request\00id")
        (call $show_property @"request\00protocol")
        (call $show_property @"request\00size")
        (call $show_property @"request\00total_size")
        (call $show_property_size @"request\00time")
        (call $show_property_size @"request\00duration"))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $all)
        (call $show_property @"response\00code")
        (call $show_property @"response\00flags")
        (call $show_property @"response\00code_details")
        (call $show_property @"response\00headers\00x-a")
        (call $show_property @"response\00size")
        (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $all)))

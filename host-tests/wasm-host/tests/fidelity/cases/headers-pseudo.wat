;;! title = "Pseudo-headers are headers: method, path and authority can be replaced"
;;! [[request]]
;;! path = "/a?b=c"
;;! [expect]
;;! log = [
;;!     "info: headers, end 5 1",
;;!     "info: :method: Ok GET",
;;!     "info: :path: Ok /a?b=c",
;;!     "info: :authority: Ok fidelity.example",
;;!     "info: :scheme: Ok http",
;;!     "info: host: Ok fidelity.example",
;;!     "info: request.path: Ok /d",
;;!     "info: request.query: Ok ",
;;!     "info: request.host: Ok another",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "PUT /d"
;;! headers = [
;;!     "content-length: 0",
;;!     "host: another",
;;! ]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say2 @"headers, end" (local.get 1) (local.get 2))
        (call $show_header (i32.const 0) @":method")
        (call $show_header (i32.const 0) @":path")
        (call $show_header (i32.const 0) @":authority")
        (call $show_header (i32.const 0) @":scheme")
        (call $show_header (i32.const 0) @"host")
        (drop (call $replace_header (i32.const 0) @":method" @"PUT"))
        (drop (call $replace_header (i32.const 0) @":path" @"/d"))
        (drop (call $replace_header (i32.const 0) @":authority" @"another"))
        (call $show_property @"request\00path")
        (call $show_property @"request\00query")
        (call $show_property @"request\00host")
        (i32.const 0)))

;;! title = "Host is the authority under another name"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: replace: Ok",
;;!     "info: :authority: Ok another",
;;!     "info: host: Ok another",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! headers = ["host: another"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"replace" (call $replace_header (i32.const 0) @"host" @"another"))
        (call $show_header (i32.const 0) @":authority")
        (call $show_header (i32.const 0) @"host")
        (i32.const 0)))

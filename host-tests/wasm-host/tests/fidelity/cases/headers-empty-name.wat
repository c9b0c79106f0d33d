;;! title = "A header with an empty name is never there"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: : NotFound",
;;!     "info: remove: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 0) @"")
        (call $status @"remove" (call $remove_header (i32.const 0) @""))
        (i32.const 0)))

;;! title = "A request can be closed: its client sees the connection end"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: close: Ok",
;;!     "info: still here",
;;!     "info: log",
;;!     "info: done",
;;! ]
;;! [[expect.answer]]
;;! status = 0
;;! cut = true
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"close" (call $close_stream (i32.const 0)))
        (call $log @"still here")
        (i32.const 1))
    (func (export "proxy_on_log") (param i32) (call $log @"log"))
    (func (export "proxy_on_done") (param i32) (result i32) (call $log @"done") (i32.const 1)))

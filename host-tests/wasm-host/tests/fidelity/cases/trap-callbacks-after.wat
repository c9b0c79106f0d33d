;;! title = "After a trap nothing of the guest is called any more, not for the request that trapped either"
;;! [[request]]
;;! [expect]
;;! log = ["info: request"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request") unreachable)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $log @"response") (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $log @"log"))
    (func (export "proxy_on_done") (param i32) (result i32) (call $log @"done") (i32.const 1))
    (func (export "proxy_on_delete") (param i32) (call $log @"delete")))

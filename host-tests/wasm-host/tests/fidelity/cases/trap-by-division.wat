;;! title = "A division by zero is a trap"
;;! [[request]]
;;! [[request]]
;;! [expect]
;;! log = ["info: request"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request")
        (i32.div_u (i32.const 1) (i32.sub (local.get 1) (local.get 1)))))

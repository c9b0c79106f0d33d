;;! title = "A stack that overflows is a trap"
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
    (func $deeper (param i32) (result i32)
        (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request")
        (call $say @"depth" (call $deeper (i32.const 0)))
        (i32.const 0)))

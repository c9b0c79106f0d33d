;;! title = "A body whose end is held never ends by itself"
;;! [[request]]
;;! method = "POST"
;;! body = ["one"]
;;! abandon = true
;;! [[request]]
;;! after = "body, end 3 1"
;;! [expect]
;;! log = [
;;!     "info: body, end 3 0",
;;!     "info: body, end 3 1",
;;!     "info: log",
;;!     "info: log",
;;! ]
;;! [[expect.answer]]
;;! status = 0
;;! cut = true
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! cut = true
(module (; prelude ;)
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (i32.const 1))
    (func (export "proxy_on_log") (param i32) (call $log @"log")))

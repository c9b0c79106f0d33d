;;! title = "A trap in on_log comes after the answer, and refuses the next request"
;;! [[request]]
;;! [[request]]
;;! [expect]
;;! log = ["info: log"]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_log") (param i32) (call $log @"log") unreachable)
    (func (export "proxy_on_done") (param i32) (result i32) (call $log @"done") (i32.const 1)))

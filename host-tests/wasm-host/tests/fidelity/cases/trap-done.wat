;;! title = "A trap in on_done comes after the answer, and refuses the next request"
;;! [[request]]
;;! [[request]]
;;! [expect]
;;! log = ["info: done"]
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
    (func (export "proxy_on_done") (param i32) (result i32) (call $log @"done") unreachable)
    (func (export "proxy_on_delete") (param i32) (call $log @"delete")))

;;! title = "A trap in the response's headers refuses the request"
;;! [[request]]
;;! [[request]]
;;! [expect]
;;! log = ["info: response"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $log @"response") unreachable))

;;! title = "A trap in the response's body cuts the response"
;;! [[request]]
;;! [[request]]
;;! [expect]
;;! log = ["info: body"]
;;! [[expect.answer]]
;;! status = 200
;;! cut = true
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $log @"body") unreachable))

;;! title = "A trap in the request's body refuses the request, though the upstream has seen its beginning"
;;! [[request]]
;;! method = "POST"
;;! body = ["one"]
;;! [[request]]
;;! [expect]
;;! log = ["info: body"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! cut = true
(module (; prelude ;)
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $log @"body") unreachable))

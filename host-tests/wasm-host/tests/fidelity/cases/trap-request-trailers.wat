;;! title = "A trap in the request's trailers refuses the request"
;;! [[request]]
;;! method = "POST"
;;! body = ["one"]
;;! trailers = ["x-t: 1"]
;;! [[request]]
;;! [expect]
;;! log = ["info: trailers"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "one"
;;! cut = true
(module (; prelude ;)
    (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
        (call $log @"trailers") unreachable))

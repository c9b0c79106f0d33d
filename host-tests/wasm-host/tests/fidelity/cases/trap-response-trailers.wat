;;! title = "A trap in the response's trailers cuts the response"
;;! [cluster.upstream]
;;! trailers = ["x-t: 1"]
;;! [[request]]
;;! [[request]]
;;! [expect]
;;! log = ["info: trailers"]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! cut = true
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_trailers") (param i32 i32) (result i32)
        (call $log @"trailers") unreachable))

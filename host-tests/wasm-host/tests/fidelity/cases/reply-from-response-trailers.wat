;;! title = "A reply from the response's trailers cuts the response"
;;! [cluster.upstream]
;;! trailers = ["x-t: 1"]
;;! [[request]]
;;! [expect]
;;! log = ["info: reply: Ok"]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! cut = true
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_trailers") (param i32 i32) (result i32)
        (call $reply (i32.const 502) @"no")
        (i32.const 1)))

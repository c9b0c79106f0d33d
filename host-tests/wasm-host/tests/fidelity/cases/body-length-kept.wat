;;! title = "A changed body keeps the content-length that came with it: of more, the rest is lost"
;;! [cluster.upstream]
;;! headers = ["content-length: 5"]
;;! [[request]]
;;! path = "/response"
;;! [expect]
;;! log = ["info: set: Ok"]
;;! [[expect.answer]]
;;! status = 200
;;! headers = ["content-length: 5"]
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /response"
(module (; prelude ;)
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (if (local.get 1) (then
            (call $status @"set" (call $set_buffer (i32.const 1)
                (i32.const 0) (local.get 1) @"hello, world"))))
        (i32.const 0)))

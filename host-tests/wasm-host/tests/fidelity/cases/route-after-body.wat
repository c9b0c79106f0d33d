;;! title = "A header that is changed while the body is awaited still chooses the route"
;;! [[plugin]]
;;! allow_on_headers_stop_iteration = true
;;! [[route]]
;;! name = "there"
;;! header = "x-to: there"
;;! cluster = "there"
;;! [[route]]
;;! name = "here"
;;! [cluster.there]
;;! [[request]]
;;! method = "POST"
;;! body = ["one"]
;;! [expect]
;;! log = ["info: replace: Ok"]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "there"
;;! request = "POST /"
;;! headers = ["x-to: there"]
;;! body = "one"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (if (i32.eqz (local.get 2)) (then (return (i32.const 1))))
        (call $status @"replace" (call $replace_header (i32.const 0) @"x-to" @"there"))
        (i32.const 0)))

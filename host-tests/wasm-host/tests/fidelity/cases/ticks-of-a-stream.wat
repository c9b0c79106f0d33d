;;! title = "A period that is set in a stream is that of its root"
;;! until = ["tick 1"]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: period: Ok",
;;!     "info: tick 1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"period" (call $set_tick (i32.const 10)))
        (i32.const 0))
    (func (export "proxy_on_tick") (param i32) 
        (call $say @"tick" (local.get 0))
        (drop (call $set_tick (i32.const 0)))))

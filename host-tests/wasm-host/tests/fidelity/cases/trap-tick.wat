;;! title = "A trap in a tick takes a stream along that is paused, and refuses the next request"
;;! [[request]]
;;! [[request]]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request")
        (drop (call $set_tick (i32.const 50)))
        (i32.const 1))
    (func (export "proxy_on_tick") (param i32) (call $log @"tick") unreachable))

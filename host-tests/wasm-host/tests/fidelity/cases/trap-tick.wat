;;! title = "A trap in a tick leaves a stream that is paused hanging, and refuses the next request"
;;! why = "No stream is told of a failed VM before its next callback, and a paused one has none"
;;! [[request]]
;;! abandon = true
;;! [[request]]
;;! after = "log: tick"
;;! [expect]
;;! log = [
;;!     "info: request",
;;!     "info: tick",
;;! ]
;;! [[expect.answer]]
;;! status = 0
;;! cut = true
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request")
        (drop (call $set_tick (i32.const 50)))
        (i32.const 1))
    (func (export "proxy_on_tick") (param i32) (call $log @"tick") unreachable))

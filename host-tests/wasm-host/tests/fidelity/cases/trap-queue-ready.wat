;;! title = "A trap in on_queue_ready leaves a stream that is paused hanging"
;;! why = "No stream is told of a failed VM before its next callback, and a paused one has none"
;;! [[request]]
;;! abandon = true
;;! [[request]]
;;! after = "log: ready"
;;! [expect]
;;! log = [
;;!     "info: request",
;;!     "info: ready",
;;! ]
;;! [[expect.answer]]
;;! status = 0
;;! cut = true
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $set_effective_context (i32.const 1)))
        (drop (call $register_shared_queue @"q" (i32.const 24)))
        (drop (call $enqueue_shared_queue (i32.load (i32.const 24)) @"one"))
        (call $log @"request")
        (i32.const 1))
    (func (export "proxy_on_queue_ready") (param i32 i32) (call $log @"ready") unreachable))

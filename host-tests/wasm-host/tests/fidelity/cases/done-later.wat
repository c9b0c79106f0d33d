;;! title = "A stream is deleted whatever on_done says, so that it cannot be done later"
;;! why = "proxy_done is for roots that are replaced"
;;! until = ["context: "]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: done in between: NotFound",
;;!     "info: log",
;;!     "info: done",
;;!     "info: delete",
;;!     "info: context: BadArgument",
;;!     "info: done: NotFound",
;;!     "info: done again: NotFound",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (global $stream (mut i32) (i32.const 0))
    (global $ticks (mut i32) (i32.const 0))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $set_tick (i32.const 20))) (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"done in between" (call $done)) (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $log @"log"))
    (func (export "proxy_on_done") (param i32) (result i32)
        (call $log @"done") (global.set $stream (local.get 0)) (i32.const 0))
    (func (export "proxy_on_tick") (param i32)
        ;; One tick may come before the stream is gone from the host.
        (if (global.get $stream) (then
            (global.set $ticks (i32.add (global.get $ticks) (i32.const 1)))))
        (if (i32.eq (global.get $ticks) (i32.const 3)) (then
            (drop (call $set_tick (i32.const 0)))
            (call $status @"context" (call $set_effective_context (global.get $stream)))
            (call $status @"done" (call $done))
            (call $status @"done again" (call $done)))))
    (func (export "proxy_on_delete") (param i32) (call $log @"delete")))

;;! title = "Nothing waits: a poll is over at once, and so is a yield"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: poll 0",
;;!     "info: events 0",
;;!     "info: yield 0",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        ;; A subscription to a clock: an hour from now.
        (i64.store (i32.const 280) (i64.const 3600000000000))
        (i32.store (i32.const 600) (i32.const -1))
        (call $say @"poll" (call $poll (i32.const 256) (i32.const 400) (i32.const 1) (i32.const 600)))
        (call $say @"events" (i32.load (i32.const 600)))
        (call $say @"yield" (call $yield))
        (i32.const 0)))

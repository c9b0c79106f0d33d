;;! title = "Two clocks tell the time, of the machine and of its start; others are not supported"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: clock 0 0",
;;!     "info: tells 1",
;;!     "info: clock 1 0",
;;!     "info: tells 1",
;;!     "info: clock 2 58",
;;!     "info: tells 0",
;;!     "info: clock 3 58",
;;!     "info: tells 0",
;;!     "info: clock 4 58",
;;!     "info: tells 0",
;;!     "info: clock -1 58",
;;!     "info: tells 0",
;;!     "info: to a bad pointer 21",
;;!     "info: time: Ok",
;;!     "info: of this century 1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (; prelude ;)
    (func $try (param $clock i32)
        (i64.store (i32.const 256) (i64.const 0))
        (call $say2 @"clock" (local.get $clock)
            (call $clock (local.get $clock) (i64.const 1) (i32.const 256)))
        (call $say @"tells" (i64.ne (i64.load (i32.const 256)) (i64.const 0))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $try (i32.const 0))
        (call $try (i32.const 1))
        (call $try (i32.const 2))
        (call $try (i32.const 3))
        (call $try (i32.const 4))
        (call $try (i32.const -1))
        (call $say @"to a bad pointer"
            (call $clock (i32.const 0) (i64.const 1) (i32.const 0x7ffffff0)))
        (call $status @"time" (call $get_time (i32.const 256)))
        ;; After 2020, before 2100.
        (call $say @"of this century" (i32.and
            (i64.gt_u (i64.load (i32.const 256)) (i64.const 1577836800000000000))
            (i64.lt_u (i64.load (i32.const 256)) (i64.const 4102444800000000000))))
        (i32.const 0)))

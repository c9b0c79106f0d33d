;;! title = "A root ticks until its period is 0, on the main thread as on each worker"
;;! workers = 2
;;! until = ["period 0", "period 0", "period 0"]
;;! [expect]
;;! log = [
;;!     "info: period 0: Ok",
;;!     "info: period 0: Ok",
;;!     "info: period: Ok",
;;!     "info: period: Ok",
;;!     "info: root, tick 1 1",
;;!     "info: root, tick 1 1",
;;!     "info: root, tick 1 2",
;;!     "info: root, tick 1 2",
;;! ]
;;! main_log = [
;;!     "info: period: Ok",
;;!     "info: period: Ok",
;;!     "info: root, tick 1 1",
;;!     "info: root, tick 1 2",
;;!     "info: period 0: Ok",
;;! ]
(module (; prelude ;)
    (global $count (mut i32) (i32.const 0))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $status @"period" (call $set_tick (i32.const 10))) (i32.const 1))
    (func (export "proxy_on_tick") (param i32)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (call $say2 @"root, tick" (local.get 0) (global.get $count))
        (if (i32.eq (global.get $count) (i32.const 2)) (then
            (call $status @"period 0" (call $set_tick (i32.const 0)))))))

;;! title = "Each root of a VM ticks by itself"
;;! until = ["a: tick 1", "b: tick 2", "a: tick 1", "b: tick 2"]
;;! [[plugin]]
;;! name = "one"
;;! root_id = "a"
;;! [[plugin]]
;;! name = "two"
;;! root_id = "b"
;;! [expect]
;;! log = [
;;!     "info a: tick 1",
;;!     "info b: tick 2",
;;! ]
;;! main_log = [
;;!     "info a: tick 1",
;;!     "info b: tick 2",
;;! ]
(module (; prelude ;)
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        ;; One after the other, so that they are logged in this order.
        (drop (call $set_tick (i32.mul (local.get 0) (i32.const 50)))) (i32.const 1))
    (func (export "proxy_on_tick") (param i32)
        (call $say @"tick" (local.get 0))
        (drop (call $set_tick (i32.const 0)))))

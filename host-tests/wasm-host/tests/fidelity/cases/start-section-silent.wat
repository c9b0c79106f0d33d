;;! title = "A start function of the module itself is called before the host can be"
;;! [[request]]
;;! [expect]
;;! log = ["info: started 1"]
;;! main_log = [
;;!     "info: started 1",
;;!     "info: started 1",
;;!     "info: started 1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (global $started (mut i32) (i32.const 0))
    (func $go (global.set $started (i32.const 1)))
    (start $go)
    (func (export "_initialize") (call $say @"started" (global.get $started))))

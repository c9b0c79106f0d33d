;;! title = "A gauge is set, and goes up and down"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: id 5",
;;!     "info: metric: Ok 0",
;;!     "info: record: Ok",
;;!     "info: up: Ok",
;;!     "info: down: Ok",
;;!     "info: by 0: Ok",
;;!     "info: metric: Ok 10",
;;! ]
;;! [expect.stats]
;;! "wasmcustom.level" = 10
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $id i32)
        (local.set $id (call $metric (i32.const 1) @"level"))
        (call $say @"id" (local.get $id))
        (call $show_metric (local.get $id))
        (call $status @"record" (call $record_metric (local.get $id) (i64.const 9)))
        (call $status @"up" (call $increment_metric (local.get $id) (i64.const 3)))
        (call $status @"down" (call $increment_metric (local.get $id) (i64.const -2)))
        (call $status @"by 0" (call $increment_metric (local.get $id) (i64.const 0)))
        (call $show_metric (local.get $id))
        (i32.const 0)))

;;! title = "A counter is incremented by at least one; what is recorded is added, even below zero"
;;! why = "So a counter can go down"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: define: Ok",
;;!     "info: id 4",
;;!     "info: increment: Ok",
;;!     "info: by 0: BadArgument",
;;!     "info: by -1: BadArgument",
;;!     "info: metric: Ok 3",
;;!     "info: record: Ok",
;;!     "info: metric: Ok 12",
;;!     "info: record -1: Ok",
;;!     "info: metric: Ok 11",
;;! ]
;;! [expect.stats]
;;! "wasmcustom.calls" = 11
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $id i32)
        (call $status @"define" (call $define_metric (i32.const 0) @"calls" (i32.const 24)))
        (local.set $id (i32.load (i32.const 24)))
        (call $say @"id" (local.get $id))
        (call $status @"increment" (call $increment_metric (local.get $id) (i64.const 3)))
        (call $status @"by 0" (call $increment_metric (local.get $id) (i64.const 0)))
        (call $status @"by -1" (call $increment_metric (local.get $id) (i64.const -1)))
        (call $show_metric (local.get $id))
        (call $status @"record" (call $record_metric (local.get $id) (i64.const 9)))
        (call $show_metric (local.get $id))
        (call $status @"record -1" (call $record_metric (local.get $id) (i64.const -1)))
        (call $show_metric (local.get $id))
        (i32.const 0)))

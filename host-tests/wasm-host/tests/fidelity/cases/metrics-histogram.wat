;;! title = "A histogram takes values and shows none"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: id 6",
;;!     "info: record: Ok",
;;!     "info: increment: BadArgument",
;;!     "info: metric: BadArgument 0",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $id i32)
        (local.set $id (call $metric (i32.const 2) @"sizes"))
        (call $say @"id" (local.get $id))
        (call $status @"record" (call $record_metric (local.get $id) (i64.const 9)))
        (call $status @"increment" (call $increment_metric (local.get $id) (i64.const 3)))
        (call $show_metric (local.get $id))
        (i32.const 0)))

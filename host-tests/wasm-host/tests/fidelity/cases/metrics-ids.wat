;;! title = "Every definition gives a new id, even of the same metric; the type is in its last two bits"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: define: Ok",
;;!     "info: id 4",
;;!     "info: define: Ok",
;;!     "info: id 8",
;;!     "info: define: Ok",
;;!     "info: id 5",
;;!     "info: define: Ok",
;;!     "info: id 6",
;;!     "info: define: BadArgument",
;;!     "info: id -1",
;;!     "info: define: BadArgument",
;;!     "info: id -1",
;;!     "info: define: Ok",
;;!     "info: id 12",
;;!     "info: metric: Ok 2",
;;!     "info: increment 999: BadArgument",
;;!     "info: increment 0: NotFound",
;;!     "info: record 999: NotFound",
;;!     "info: record 1000: NotFound",
;;!     "info: record 1001: NotFound",
;;!     "info: metric: BadArgument 0",
;;!     "info: metric: NotFound 0",
;;!     "info: metric: NotFound 0",
;;!     "info: metric: BadArgument 0",
;;! ]
;;! [expect.stats]
;;! "wasmcustom.level" = 0
;;! "wasmcustom.same" = 2
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $define (param $type i32) (param $at i32) (param $length i32)
        (i32.store (i32.const 24) (i32.const -1))
        (call $status @"define" (call $define_metric
            (local.get $type) (local.get $at) (local.get $length) (i32.const 24)))
        (call $say @"id" (i32.load (i32.const 24))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (local $one i32) (local $two i32)
        (call $define (i32.const 0) @"same")
        (local.set $one (i32.load (i32.const 24)))
        (call $define (i32.const 0) @"same")
        (local.set $two (i32.load (i32.const 24)))
        (call $define (i32.const 1) @"level")
        (call $define (i32.const 2) @"sizes")
        (call $define (i32.const 3) @"nothing")
        (call $define (i32.const -1) @"nothing")
        (call $define (i32.const 0) @"")
        (drop (call $increment_metric (local.get $one) (i64.const 1)))
        (drop (call $increment_metric (local.get $two) (i64.const 1)))
        (call $show_metric (local.get $one))
        (call $status @"increment 999" (call $increment_metric (i32.const 999) (i64.const 1)))
        (call $status @"increment 0" (call $increment_metric (i32.const 0) (i64.const 1)))
        (call $status @"record 999" (call $record_metric (i32.const 999) (i64.const 1)))
        (call $status @"record 1000" (call $record_metric (i32.const 1000) (i64.const 1)))
        (call $status @"record 1001" (call $record_metric (i32.const 1001) (i64.const 1)))
        (call $show_metric (i32.const 999))
        (call $show_metric (i32.const 1000))
        (call $show_metric (i32.const 1001))
        (call $show_metric (i32.const 1002))
        (i32.const 0)))

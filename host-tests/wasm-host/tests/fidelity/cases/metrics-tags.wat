;;! title = "Tags are taken out of the name of a metric by regex"
;;! [[stats_tag]]
;;! name = "decision"
;;! regex = '(decision=\.=(.*?);\.;)'
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: increment: Ok",
;;!     "info: metric: Ok 2",
;;! ]
;;! metrics = ['requests_total{decision="deny"} 2']
;;! [expect.stats]
;;! "wasmcustom.decision=.=deny;.;requests_total" = 2
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (global $id (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $id (call $metric (i32.const 0) @"decision=.=deny;.;requests_total"))
        (call $status @"increment" (call $increment_metric (global.get $id) (i64.const 2)))
        (call $show_metric (global.get $id))
        (i32.const 0)))

;;! title = "A reply from on_log calls on_log again, and so on until Envoy dies"
;;! [[request]]
;;! [expect]
;;! died = true
;;! log = ["info: log"]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (global $once (mut i32) (i32.const 0))
    (func (export "proxy_on_log") (param i32)
        (if (i32.eqz (global.get $once)) (then (call $log @"log")))
        (global.set $once (i32.const 1))
        (drop (call $send_local_response (i32.const 403) @"" @"no"
            (i32.const 0) (i32.const 0) (i32.const -1)))))

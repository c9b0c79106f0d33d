;;! title = "A reply from on_done kills Envoy"
;;! [[request]]
;;! [expect]
;;! died = true
;;! log = [
;;!     "info: done",
;;!     "info: reply: Ok",
;;! ]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_done") (param i32) (result i32)
        (call $log @"done")
        (call $reply (i32.const 403) @"no")
        (i32.const 1)))

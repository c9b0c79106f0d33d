;;! title = "A reply from on_delete kills Envoy"
;;! [[request]]
;;! [expect]
;;! died = true
;;! log = [
;;!     "info: delete",
;;!     "info: reply: Ok",
;;! ]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_delete") (param i32)
        (call $log @"delete")
        (call $reply (i32.const 403) @"no")))

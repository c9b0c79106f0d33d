;;! title = "A root has nobody to reply to, and the call says Ok"
;;! [[request]]
;;! [expect]
;;! log = ["info: reply: Ok"]
;;! main_log = [
;;!     "info: reply: Ok",
;;!     "info: reply: Ok",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $reply (i32.const 403) @"no") (i32.const 1)))

;;! title = "A property can be set in on_log, and be read until its stream is deleted"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: set property: Ok",
;;!     "info: a: Ok b",
;;!     "info: set property: Ok",
;;!     "info: a: Ok c",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_log") (param i32)
        (call $status @"set property" (call $set_property @"a" @"b")))
    (func (export "proxy_on_done") (param i32) (result i32)
        (call $show_property @"a")
        (call $status @"set property" (call $set_property @"a" @"c"))
        (i32.const 1))
    (func (export "proxy_on_delete") (param i32) (call $show_property @"a")))

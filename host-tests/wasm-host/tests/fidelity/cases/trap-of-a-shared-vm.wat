;;! title = "A trap takes along other filters of the same VM, but none of another VM"
;;! [[plugin]]
;;! name = "one"
;;! root_id = "same"
;;! configuration = "one"
;;! [[plugin]]
;;! name = "two"
;;! root_id = "same"
;;! configuration = "two"
;;! failure_policy = "open"
;;! [[plugin]]
;;! name = "three"
;;! vm_configuration = "another VM"
;;! [[request]]
;;! headers = ["x-trap: two"]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info one same: request",
;;!     "info one same: plugin_name: Ok one",
;;!     "info two same: request",
;;!     "info two same: plugin_name: Ok two",
;;!     "info three: log",
;;!     "info three: log",
;;! ]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request")
        (call $show_property @"plugin_name")
        (if (i32.and
                (i32.eq (i32.load8_u offset=1 (i32.load (i32.const 16))) (i32.const 119))
                (call $header_is @"x-trap" @"two"))
            (then unreachable))
        (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $log @"log")))

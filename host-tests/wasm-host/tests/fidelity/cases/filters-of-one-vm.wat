;;! title = "Filters share a VM if code, VM id, VM configuration and environment are the same"
;;! why = "Before 1.39 the environment does not count: the second VM id with another variable would be shared"
;;! [[plugin]]
;;! name = "one"
;;! [[plugin]]
;;! name = "two"
;;! [[plugin]]
;;! name = "other id"
;;! vm_id = "other"
;;! [[plugin]]
;;! name = "other configuration"
;;! vm_configuration = "other"
;;! [[plugin]]
;;! name = "other variable"
;;! env = { A = "b" }
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info one: requests of this VM 1",
;;!     "info two: requests of this VM 2",
;;!     "info other id other: requests of this VM 1",
;;!     "info other configuration: requests of this VM 1",
;;!     "info other variable: requests of this VM 1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (global $count (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (call $say @"requests of this VM" (global.get $count))
        (i32.const 0)))

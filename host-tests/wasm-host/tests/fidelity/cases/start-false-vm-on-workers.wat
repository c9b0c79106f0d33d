;;! title = "A guest that says only to a worker that its VM did not start lets every request pass there"
;;! why = "The filter fails closed, and so it says; but without a plugin on that worker nothing is asked"
;;! [[plugin]]
;;! vm_id = "vm"
;;! [[request]]
;;! [expect]
;;! log = ["info: tried: Ok yes"]
;;! main_log = [
;;!     "info: tried: NotFound",
;;!     "info: tried: Ok yes",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (local $tried i32)
        (call $show_shared @"tried")
        (local.set $tried (i32.load (i32.const 24)))
        (drop (call $set_shared_data @"tried" @"yes" (i32.const 0)))
        (i32.eqz (local.get $tried)))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request") (i32.const 0)))

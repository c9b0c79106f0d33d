;;! title = "A guest that traps only where a worker configures it lets every request pass there, where it is reloaded too"
;;! why = "There is no plugin on that worker that could be loaded anew"
;;! [[plugin]]
;;! vm_id = "vm"
;;! failure_policy = "reload"
;;! [[request]]
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
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $show_shared @"tried")
        (if (i32.load (i32.const 24)) (then unreachable))
        (drop (call $set_shared_data @"tried" @"yes" (i32.const 0)))
        (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request") (i32.const 0)))

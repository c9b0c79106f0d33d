;;! title = "A trap while its root is made does not refuse a module"
;;! why = "Its VM is started, but the root is never configured, and every request is refused"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: create 1",
;;!     "info: vm start",
;;! ]
;;! main_log = [
;;!     "info: create 1",
;;!     "info: vm start",
;;!     "info: create 1",
;;!     "info: vm start",
;;! ]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_context_create") (param i32 i32)
        (call $say @"create" (local.get 0)) unreachable)
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (call $log @"vm start") (i32.const 1))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $log @"configure") (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request") (i32.const 0)))

;;! title = "Without `_initialize`, `_start` is called"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: _start",
;;!     "info: vm start",
;;! ]
;;! main_log = [
;;!     "info: _start",
;;!     "info: _start",
;;!     "info: vm start",
;;!     "info: _start",
;;!     "info: vm start",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "_start") (call $log @"_start"))
    (func (export "main") (param i32 i32) (result i32) (call $log @"main") (i32.const 0))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (call $log @"vm start") (i32.const 1)))

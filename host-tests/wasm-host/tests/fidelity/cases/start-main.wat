;;! title = "What is initialized is then started: `_initialize`, then `main`, and `_start` is left alone"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: _initialize",
;;!     "info: main 0 0",
;;!     "info: vm start",
;;! ]
;;! main_log = [
;;!     "info: _initialize",
;;!     "info: main 0 0",
;;!     "info: _initialize",
;;!     "info: main 0 0",
;;!     "info: vm start",
;;!     "info: _initialize",
;;!     "info: main 0 0",
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
    (func (export "_initialize") (call $log @"_initialize"))
    (func (export "main") (param i32 i32) (result i32)
        (call $say2 @"main" (local.get 0) (local.get 1)) (i32.const 7))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (call $log @"vm start") (i32.const 1)))

;;! title = "A root is made, started and configured three times: tried, for the main thread, for a worker"
;;! [[plugin]]
;;! root_id = "root"
;;! vm_id = "vm"
;;! configuration = "of the plugin"
;;! vm_configuration = "of the VM"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: initialize",
;;!     "info: create 1 0",
;;!     "info: vm start 1 9",
;;!     "info: buffer 6 0 100: Ok of the VM",
;;!     "info: buffer 7 0 100: NotFound",
;;!     "info: configure 1 13",
;;!     "info: buffer 6 0 100: Ok of the VM",
;;!     "info: buffer 7 0 100: Ok of the plugin",
;;!     "info: create 2 1",
;;!     "info: log 2",
;;!     "info: done 2",
;;!     "info: delete 2",
;;! ]
;;! main_log = [
;;!     "info: initialize",
;;!     "info: initialize",
;;!     "info: create 1 0",
;;!     "info: vm start 1 9",
;;!     "info: buffer 6 0 100: Ok of the VM",
;;!     "info: buffer 7 0 100: NotFound",
;;!     "info: configure 1 13",
;;!     "info: buffer 6 0 100: Ok of the VM",
;;!     "info: buffer 7 0 100: Ok of the plugin",
;;!     "info: initialize",
;;!     "info: create 1 0",
;;!     "info: vm start 1 9",
;;!     "info: buffer 6 0 100: Ok of the VM",
;;!     "info: buffer 7 0 100: NotFound",
;;!     "info: configure 1 13",
;;!     "info: buffer 6 0 100: Ok of the VM",
;;!     "info: buffer 7 0 100: Ok of the plugin",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "_initialize") (call $log @"initialize"))
    (func (export "proxy_on_context_create") (param i32 i32)
        (call $say2 @"create" (local.get 0) (local.get 1)))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (call $say2 @"vm start" (local.get 0) (local.get 1))
        (call $show_buffer (i32.const 6) (i32.const 0) (i32.const 100))
        (call $show_buffer (i32.const 7) (i32.const 0) (i32.const 100))
        (i32.const 1))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $say2 @"configure" (local.get 0) (local.get 1))
        (call $show_buffer (i32.const 6) (i32.const 0) (i32.const 100))
        (call $show_buffer (i32.const 7) (i32.const 0) (i32.const 100))
        (i32.const 1))
    (func (export "proxy_on_done") (param i32) (result i32)
        (call $say @"done" (local.get 0)) (i32.const 1))
    (func (export "proxy_on_log") (param i32) (call $say @"log" (local.get 0)))
    (func (export "proxy_on_delete") (param i32) (call $say @"delete" (local.get 0))))

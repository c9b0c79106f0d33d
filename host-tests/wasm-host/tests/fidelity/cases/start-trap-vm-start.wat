;;! title = "A trap while its VM is started refuses a module"
;;! [expect]
;;! refused = 'Function: proxy_on_vm_start failed: Uncaught RuntimeError: unreachable\nProxy-Wasm plugin in-VM backtrace:\n  0:  0xb0a - unknown(function index:70)'
;;! main_log = ["info: vm start"]
(module (; prelude ;)
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (call $log @"vm start") unreachable))

;;! title = "A trap while it is configured refuses a module"
;;! [expect]
;;! refused = 'Function: proxy_on_configure failed: Uncaught RuntimeError: unreachable\nProxy-Wasm plugin in-VM backtrace:\n  0:  0xb0b - unknown(function index:70)'
;;! main_log = ["info: configure"]
(module (; prelude ;)
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $log @"configure") unreachable))

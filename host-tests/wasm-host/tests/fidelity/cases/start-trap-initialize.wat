;;! title = "A trap while it is initialized refuses a module"
;;! [expect]
;;! refused = 'Function: _initialize failed: Uncaught RuntimeError: unreachable\nProxy-Wasm plugin in-VM backtrace:\n  0:  0xb04 - unknown(function index:70)'
;;! main_log = ["info: initialize"]
(module (; prelude ;)
    (func (export "_initialize") (call $log @"initialize") unreachable))

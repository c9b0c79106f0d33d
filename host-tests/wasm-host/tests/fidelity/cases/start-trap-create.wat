;;! title = "A trap while its root is made refuses a module"
;;! [expect]
;;! log = ["info: create"]
;;! main_log = [
;;!     "info: create",
;;!     "info: create",
;;! ]
(module (; prelude ;)
    (func (export "proxy_on_context_create") (param i32 i32) (call $log @"create") unreachable))

;;! title = "A module that says that its configuration is wrong is refused where it fails open too"
;;! [[plugin]]
;;! failure_policy = "open"
;;! [[request]]
;;! [expect]
;;! refused = "Wasm VM failed Failed to configure base Wasm plugin"
;;! main_log = ["info: configure"]
(module (; prelude ;)
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $log @"configure") (i32.const 0)))

;;! title = "A module that says that its VM did not start is refused"
;;! [expect]
;;! refused = "Wasm VM failed Failed to start base Wasm"
;;! main_log = ["info: vm start"]
(module (; prelude ;)
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (call $log @"vm start") (i32.const 0)))

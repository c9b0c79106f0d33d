;;! title = "A module with two memories is refused"
;;! [expect]
(module
    (memory (export "memory") 1)
    (memory (export "memory2") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_abi_version_0_2_1")))

;;! title = "A module that says several versions of the ABI is accepted"
;;! [[request]]
;;! [expect]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_abi_version_0_2_0"))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0)))

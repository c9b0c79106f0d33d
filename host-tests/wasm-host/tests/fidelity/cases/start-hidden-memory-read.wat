;;! title = "To log from a memory that is not exported kills Envoy"
;;! [[request]]
;;! [expect]
;;! died = true
(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (memory 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $log (i32.const 2) (i32.const 0) (i32.const 1)))
        (i32.const 0)))

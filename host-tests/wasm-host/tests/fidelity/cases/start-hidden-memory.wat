;;! title = "A module whose memory is not exported is accepted, while it asks the host for nothing that takes one"
;;! [[request]]
;;! [expect]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module
    (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
    (memory 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $tick (i32.const 0)))
        (i32.const 0)))

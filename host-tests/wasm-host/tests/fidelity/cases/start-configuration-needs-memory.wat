;;! title = "A configuration is handed over only where it is asked for"
;;! [[plugin]]
;;! configuration = "something"
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
    (func (export "malloc") (param i32) (result i32) unreachable)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (i32.eq (local.get 1) (i32.const 9))))

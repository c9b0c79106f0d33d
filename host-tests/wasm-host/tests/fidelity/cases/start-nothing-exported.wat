;;! title = "A module without any callback lets everything pass"
;;! [[request]]
;;! method = "POST"
;;! body = ["one"]
;;! [expect]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "one"
(module
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_abi_version_0_2_1")))

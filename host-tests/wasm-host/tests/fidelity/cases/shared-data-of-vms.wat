;;! title = "Shared data is one for each VM id, whatever the VM; another id has its own"
;;! [[plugin]]
;;! name = "one"
;;! vm_id = "a"
;;! [[plugin]]
;;! name = "two"
;;! vm_id = "a"
;;! vm_configuration = "another VM"
;;! [[plugin]]
;;! name = "three"
;;! vm_id = "b"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info one a: a: NotFound",
;;!     "info two a: a: Ok set",
;;!     "info three b: a: NotFound",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_shared @"a")
        (drop (call $set_shared_data @"a" @"set" (i32.const 0)))
        (i32.const 0)))

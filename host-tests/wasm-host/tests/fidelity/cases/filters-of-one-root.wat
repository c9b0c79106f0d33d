;;! title = "Two filters with one name and one configuration share a root"
;;! [[plugin]]
;;! [[plugin]]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: create 1 0",
;;!     "info: configure 1",
;;!     "info guest: create 2 1",
;;!     "info guest: create 3 1",
;;! ]
;;! main_log = [
;;!     "info: create 1 0",
;;!     "info: configure 1",
;;!     "info: create 1 0",
;;!     "info: configure 1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_context_create") (param i32 i32)
        (call $say2 @"create" (local.get 0) (local.get 1)))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $say @"configure" (local.get 0)) (i32.const 1)))

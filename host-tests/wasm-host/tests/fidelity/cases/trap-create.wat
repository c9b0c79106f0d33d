;;! title = "A trap while a stream's context is made refuses its request"
;;! [[request]]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: create 1 0",
;;!     "info: create 2 1",
;;! ]
;;! main_log = [
;;!     "info: create 1 0",
;;!     "info: create 1 0",
;;! ]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_context_create") (param i32 i32)
        (call $say2 @"create" (local.get 0) (local.get 1))
        (if (local.get 1) (then unreachable))))

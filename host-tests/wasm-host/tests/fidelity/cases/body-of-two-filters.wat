;;! title = "What one filter keeps of a body, the next one sees whole"
;;! [[plugin]]
;;! name = "one"
;;! [[plugin]]
;;! name = "two"
;;! [[request]]
;;! method = "POST"
;;! body = ["one", "four"]
;;! [expect]
;;! log = [
;;!     "info one: body, end 3 0",
;;!     "info one: body, end 7 0",
;;!     "info one: body, end 7 1",
;;!     "info two: body, end 7 1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "onefour"
(module (; prelude ;)
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (i32.eqz (local.get 2))))

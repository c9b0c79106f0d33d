;;! title = "A body that is resumed in the callback that holds it goes on, and what comes later is shown by itself"
;;! [[request]]
;;! method = "POST"
;;! body = ["one", "four", "seven"]
;;! [expect]
;;! log = [
;;!     "info: body, end 3 0",
;;!     "info: body, end 7 0",
;;!     "info: resume: Ok",
;;!     "info: body, end 5 0",
;;!     "info: body, end 5 1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "POST /"
;;! body = "onefourseven"
(module (; prelude ;)
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2))
        (if (i32.eq (local.get 1) (i32.const 7)) (then
            (call $status @"resume" (call $continue_stream (i32.const 0)))))
        (i32.eqz (local.get 2))))

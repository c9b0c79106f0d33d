;;! title = "Any action but Continue is Pause"
;;! [[request]]
;;! path = "/"
;;! headers = ["x-action: 2"]
;;! leave = "action 2"
;;! [[request]]
;;! path = "/"
;;! headers = ["x-action: 9"]
;;! leave = "action 9"
;;! [expect]
;;! log = [
;;!     "info: action 2",
;;!     "info: action 9",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 0
;;! cut = true
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! headers = ["x-action: 2"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (if (call $header_is @"x-action" @"2") (then
            (call $log @"action 2") (return (i32.const 2))))
        (call $log @"action 9")
        (i32.const 9)))

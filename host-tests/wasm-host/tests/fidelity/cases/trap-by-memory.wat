;;! title = "An access outside of the memory is a trap"
;;! [[request]]
;;! [[request]]
;;! [expect]
;;! log = ["info: request"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 503
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request")
        (call $say @"read" (i32.load (i32.const 0x7ffffff0)))
        (i32.const 0)))

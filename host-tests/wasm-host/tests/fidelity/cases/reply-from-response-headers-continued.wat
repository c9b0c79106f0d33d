;;! title = "A reply from response headers takes their place, also where the callback says Continue"
;;! [[request]]
;;! [expect]
;;! log = ["info: reply: Ok"]
;;! [[expect.answer]]
;;! status = 502
;;! headers = [
;;!     "content-length: 2",
;;!     "content-type: text/plain",
;;! ]
;;! body = "no"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $reply (i32.const 502) @"no")
        (i32.const 0)))

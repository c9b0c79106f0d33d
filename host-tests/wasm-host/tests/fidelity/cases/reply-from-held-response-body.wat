;;! title = "A reply from the body takes the place of response headers that were held"
;;! [[plugin]]
;;! allow_on_headers_stop_iteration = true
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
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (if (local.get 2) (then (call $reply (i32.const 502) @"no")))
        (i32.const 1)))

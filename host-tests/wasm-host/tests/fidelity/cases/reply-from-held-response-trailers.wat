;;! title = "A reply from the trailers takes the place of response headers that were held"
;;! [[plugin]]
;;! allow_on_headers_stop_iteration = true
;;! [cluster.upstream]
;;! trailers = ["x-t: 1"]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: drain: Ok",
;;!     "info: reply: Ok",
;;! ]
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
        (call $status @"drain" (call $set_buffer (i32.const 1)
            (i32.const 0) (local.get 1) (i32.const 0) (i32.const 0)))
        (i32.const 1))
    (func (export "proxy_on_response_trailers") (param i32 i32) (result i32)
        (call $reply (i32.const 502) @"no")
        (i32.const 1)))

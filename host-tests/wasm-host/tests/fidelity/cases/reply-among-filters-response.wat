;;! title = "A reply from response headers is not seen by filters after this one on the way back"
;;! [[plugin]]
;;! name = "one"
;;! [[plugin]]
;;! name = "two"
;;! [[plugin]]
;;! name = "three"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info three: :status: Ok 200",
;;!     "info three: plugin_name: Ok three",
;;!     "info two: :status: Ok 200",
;;!     "info two: plugin_name: Ok two",
;;!     "info two: reply: Ok",
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
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @":status")
        (call $show_property @"plugin_name")
        (if (i32.eq (i32.load8_u offset=1 (i32.load (i32.const 16))) (i32.const 119))
            (then (call $reply (i32.const 502) @"no")))
        (i32.const 0))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $say2 @"body, end" (local.get 1) (local.get 2)) (i32.const 0)))

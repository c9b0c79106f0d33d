;;! title = "A reply passes back through filters before this one, and later ones see nothing of the request"
;;! [[plugin]]
;;! name = "one"
;;! configuration = "1"
;;! [[plugin]]
;;! name = "two"
;;! configuration = "reply"
;;! [[plugin]]
;;! name = "three"
;;! configuration = "3"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info one: request 4",
;;!     "info one: plugin_name: Ok one",
;;!     "info two: request 5",
;;!     "info two: plugin_name: Ok two",
;;!     "info two: reply: Ok",
;;!     "info two: response 5",
;;!     "info one: response 4",
;;!     "info one: log 4",
;;!     "info two: log 5",
;;!     "info three: log 6",
;;!     "info one: done 4",
;;!     "info two: done 5",
;;!     "info three: done 6",
;;! ]
;;! [[expect.answer]]
;;! status = 403
;;! headers = [
;;!     "content-length: 2",
;;!     "content-type: text/plain",
;;! ]
;;! body = "no"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say @"request" (local.get 0))
        (call $clear)
        (call $show_property @"plugin_name")
        (if (i32.eq (i32.load8_u offset=1 (i32.load (i32.const 16))) (i32.const 119))
            (then (call $reply (i32.const 403) @"no")))
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $say @"response" (local.get 0)) (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $say @"log" (local.get 0)))
    (func (export "proxy_on_done") (param i32) (result i32)
        (call $say @"done" (local.get 0)) (i32.const 1)))

;;! title = "A guest may act for a stream of another filter in the same VM"
;;! [[plugin]]
;;! name = "one"
;;! [[plugin]]
;;! name = "two"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info one: context: Ok",
;;!     "info one: plugin_name: Ok one",
;;!     "info one: :path: BadArgument",
;;!     "info one: reply: Ok",
;;!     "info two: :status: Ok 403",
;;!     "info one: :status: Ok 403",
;;! ]
;;! [[expect.answer]]
;;! status = 403
;;! headers = [
;;!     "content-length: 11",
;;!     "content-type: text/plain",
;;! ]
;;! body = "for another"
(module (; prelude ;)
    (global $other (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (if (global.get $other) (then
            (call $status @"context" (call $set_effective_context (global.get $other)))
            (call $show_property @"plugin_name")
            (call $show_header (i32.const 0) @":path")
            (call $reply (i32.const 403) @"for another")))
        (global.set $other (local.get 0))
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @":status") (i32.const 0)))

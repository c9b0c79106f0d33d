;;! title = "A request that is paused ends when its client goes away"
;;! [[request]]
;;! leave = "paused"
;;! [expect]
;;! log = [
;;!     "info: paused",
;;!     "info: log",
;;!     "info: :path: Ok /",
;;!     "info: pairs 2: Ok 0 bytes",
;;!     "info: response.code: NotFound",
;;!     "info: response.code_details: Ok downstream_remote_disconnect",
;;!     'info: response.flags: Ok \x00@\x00\x00\x00\x00\x00\x00',
;;!     "info: done",
;;!     "info: delete",
;;! ]
;;! [[expect.answer]]
;;! status = 0
;;! cut = true
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"paused") (i32.const 1))
    (func (export "proxy_on_log") (param i32)
        (call $log @"log")
        (call $show_header (i32.const 0) @":path")
        (call $show_pairs (i32.const 2))
        (call $show_property @"response\00code")
        (call $show_property @"response\00code_details")
        (call $show_property @"response\00flags"))
    (func (export "proxy_on_done") (param i32) (result i32) (call $log @"done") (i32.const 1))
    (func (export "proxy_on_delete") (param i32) (call $log @"delete")))

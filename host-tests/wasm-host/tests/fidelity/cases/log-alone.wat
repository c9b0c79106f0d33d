;;! title = "A filter after one that answered sees nothing of a request but its end"
;;! denied = "x-deny"
;;! [[request]]
;;! headers = ["x-deny: 1"]
;;! [expect]
;;! log = [
;;!     "info: create 2",
;;!     "info: log",
;;!     "info: x-deny: Ok 1",
;;!     "info: :status: Ok 403",
;;!     "info: request.path: Ok /",
;;!     "info: response.code_details: Ok rbac_access_denied_matched_policy[denied]",
;;!     "info: done",
;;!     "info: delete",
;;! ]
;;! [[expect.answer]]
;;! status = 403
;;! headers = [
;;!     "content-length: 19",
;;!     "content-type: text/plain",
;;! ]
;;! body = "RBAC: access denied"
(module (; prelude ;)
    (func (export "proxy_on_context_create") (param i32 i32)
        (if (local.get 1) (then (call $say @"create" (local.get 0)))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log @"request") (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $log @"response") (i32.const 0))
    (func (export "proxy_on_log") (param i32)
        (call $log @"log")
        (call $show_header (i32.const 0) @"x-deny")
        (call $show_header (i32.const 2) @":status")
        (call $show_property @"request\00path")
        (call $show_property @"response\00code_details"))
    (func (export "proxy_on_done") (param i32) (result i32) (call $log @"done") (i32.const 1))
    (func (export "proxy_on_delete") (param i32) (call $log @"delete")))

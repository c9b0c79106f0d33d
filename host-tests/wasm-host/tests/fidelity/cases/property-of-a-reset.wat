;;! title = "A connection that breaks before the answer shows in the response's flags"
;;! [cluster.upstream]
;;! failure = "reset"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: :status: Ok 503",
;;!     'info: response.flags: Ok @\x00\x00\x00\x00\x00\x00\x00',
;;!     "info: response.code_details: Ok upstream_reset_before_response_started{connection_termination}",
;;! ]
;;! [[expect.answer]]
;;! status = 503
;;! headers = [
;;!     "content-length: 95",
;;!     "content-type: text/plain",
;;! ]
;;! body = "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 2) @":status")
        (call $show_property @"response\00flags")
        (call $show_property @"response\00code_details")
        (i32.const 0)))

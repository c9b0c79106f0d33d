;;! title = "To resume a response that has not begun kills Envoy"
;;! why = "The call says Ok; Envoy then goes on with response headers that it does not have"
;;! [[request]]
;;! [expect]
;;! died = true
;;! log = ["info: resume: Ok"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status @"resume" (call $continue_stream (i32.const 1)))
        (i32.const 0)))

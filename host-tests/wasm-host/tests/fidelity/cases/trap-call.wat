;;! title = "A trap in the answer to a call takes a stream along that is paused"
;;! [cluster.callee]
;;! [[request]]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $get @"callee" (i32.const 1000))
        (i32.const 1))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $log @"answered") unreachable))

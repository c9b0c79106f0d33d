;;! title = "A trap takes along every stream of the VM: one that is paused, and one whose response is awaited"
;;! [[plugin]]
;;! failure_policy = "reload"
;;! [[route]]
;;! prefix = "/awaited"
;;! cluster = "silent"
;;! [[route]]
;;! [cluster.silent]
;;! failure = "silent"
;;! [[request]]
;;! path = "/paused"
;;! background = true
;;! [[request]]
;;! path = "/awaited"
;;! after = "/paused"
;;! background = true
;;! [[request]]
;;! path = "/trap"
;;! after = "/awaited"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $show_header (i32.const 0) @":path")
        (if (call $path_is @"/trap") (then unreachable))
        (call $path_is @"/paused"))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $log @"response") (i32.const 0)))

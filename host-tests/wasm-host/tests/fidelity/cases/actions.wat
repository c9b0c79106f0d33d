;;! title = "Of the actions that are neither Continue nor Pause, 2 goes on and others do not"
;;! [[request]]
;;! headers = ["x-action: 2"]
;;! [[request]]
;;! headers = ["x-action: 3"]
;;! leave = "action 3"
;;! [[request]]
;;! headers = ["x-action: 4"]
;;! leave = "action 4"
;;! [[request]]
;;! headers = ["x-action: 9"]
;;! leave = "action 9"
;;! [expect]
;;! log = [
;;!     "info: action 2",
;;!     "info: action 3",
;;!     "info: action 4",
;;!     "info: action 9",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 0
;;! cut = true
;;! [[expect.answer]]
;;! status = 0
;;! cut = true
;;! [[expect.answer]]
;;! status = 0
;;! cut = true
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! headers = ["x-action: 2"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (local $action i32)
        (call $clear)
        (drop (call $get_header (i32.const 0) @"x-action" (i32.const 16) (i32.const 20)))
        (local.set $action
            (i32.sub (i32.load8_u (i32.load (i32.const 16))) (i32.const 48)))
        (call $say @"action" (local.get $action))
        (local.get $action)))

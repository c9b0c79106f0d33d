;;! title = "Levels below the host's are not logged, the guest learns which that is, and others than six are BadArgument"
;;! log_level = "warn"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "warning: line",
;;!     "error: line",
;;!     "critical: line",
;;!     "warning: levels: Ok Ok Ok Ok Ok Ok BadArgument -1 BadArgument the host's Ok 3",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $at (param $level i32)
        (i32.store (i32.add (i32.const 128) (i32.mul (local.get $level) (i32.const 4)))
            (call $proxy_log (local.get $level) @"line")))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (local $level i32)
        (loop $next
            (call $at (local.get $level))
            (local.set $level (i32.add (local.get $level) (i32.const 1)))
            (br_if $next (i32.lt_s (local.get $level) (i32.const 7))))
        (call $put @"levels:")
        (local.set $level (i32.const 0))
        (loop $next
            (call $char (i32.const 32))
            (call $put_status (i32.load
                (i32.add (i32.const 128) (i32.mul (local.get $level) (i32.const 4)))))
            (local.set $level (i32.add (local.get $level) (i32.const 1)))
            (br_if $next (i32.lt_s (local.get $level) (i32.const 7))))
        (call $put @" -1 ")
        (call $put_status (call $proxy_log (i32.const -1) @"line"))
        (call $put @" the host's ")
        (call $put_status (call $get_log_level (i32.const 24)))
        (call $char (i32.const 32))
        (call $put_number (i32.load (i32.const 24)))
        (drop (call $proxy_log (i32.const 3)
            (i32.const 1024) (i32.sub (global.get $end) (i32.const 1024))))
        (global.set $end (i32.const 1024))
        (i32.const 0)))

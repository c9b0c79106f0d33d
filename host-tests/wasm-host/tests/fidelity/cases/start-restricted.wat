;;! title = "While it is initialized a guest may log, and ask WASI for time, chance and environment, but nothing of the ABI"
;;! why = "Not even for the time: proxy_get_current_time_nanoseconds is refused"
;;! [expect]
;;! refused = "Function: _initialize failed: Uncaught Error: restricted_callback"
;;! main_log = [
;;!     "info: log",
;;!     "info: environment 0",
;;!     "info: random 0",
;;!     "info: clock 0",
;;! ]
(module
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (; prelude ;)
    (func (export "_initialize")
        (call $log @"log")
        (call $say @"environment" (call $sizes (i32.const 256) (i32.const 260)))
        (call $say @"random" (call $random (i32.const 256) (i32.const 16)))
        (call $say @"clock" (call $clock (i32.const 0) (i64.const 1) (i32.const 256)))
        (call $status @"time" (call $get_time (i32.const 24)))
        (call $show_property @"plugin_name")))

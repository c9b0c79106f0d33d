;;! title = "While it is initialized a guest may not ask for the log level"
;;! [expect]
;;! refused = "Function: _initialize failed: Uncaught Error: restricted_callback"
(module (; prelude ;)
    (func (export "_initialize")
        (call $status @"log level" (call $get_log_level (i32.const 24)))))

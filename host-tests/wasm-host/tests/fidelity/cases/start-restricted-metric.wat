;;! title = "While it is initialized a guest may not define a metric"
;;! [expect]
;;! refused = "Function: _initialize failed: Uncaught Error: restricted_callback"
(module (; prelude ;)
    (func (export "_initialize")
        (call $say @"metric" (call $metric (i32.const 0) @"m"))))

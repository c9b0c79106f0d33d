;;! title = "A pointer outside of the memory is InvalidMemoryAccess, in every call that takes one"
;;! [cluster.callee]
;;! failure = "refused"
;;! [[request]]
;;! headers = ["x-a: 1"]
;;! [expect]
;;! log = [
;;!     "info: log: InvalidMemoryAccess",
;;!     "info: log, wrapping: InvalidMemoryAccess",
;;!     "info: log, too long: InvalidMemoryAccess",
;;!     "info: log, empty: InvalidMemoryAccess",
;;!     "info: log level: InvalidMemoryAccess",
;;!     "info: status: InvalidMemoryAccess",
;;!     "info: set property: InvalidMemoryAccess",
;;!     "info: set property: InvalidMemoryAccess",
;;!     "info: property: InvalidMemoryAccess",
;;!     "info: property's result: InvalidMemoryAccess",
;;!     "info: property's length: InvalidMemoryAccess",
;;!     "info: missing property's result: NotFound",
;;!     "info: header: InvalidMemoryAccess",
;;!     "info: header's result: InvalidMemoryAccess",
;;!     "info: header of no map: BadArgument",
;;!     "info: add header: InvalidMemoryAccess",
;;!     "info: replace header: InvalidMemoryAccess",
;;!     "info: remove header: InvalidMemoryAccess",
;;!     "info: pairs: InvalidMemoryAccess",
;;!     "info: pairs of none: InvalidMemoryAccess",
;;!     "info: set pairs: InvalidMemoryAccess",
;;!     "info: size: InvalidMemoryAccess",
;;!     "info: buffer: InvalidMemoryAccess",
;;!     "info: buffer's status: InvalidMemoryAccess",
;;!     "info: set buffer: InvalidMemoryAccess",
;;!     "info: shared: InvalidMemoryAccess",
;;!     "info: set shared: InvalidMemoryAccess",
;;!     "info: shared's result: NotFound",
;;!     "info: shared's result: InvalidMemoryAccess",
;;!     "info: shared's number: InvalidMemoryAccess",
;;!     "info: register: InvalidMemoryAccess",
;;!     "info: register's result: InvalidMemoryAccess",
;;!     "info: resolve: InvalidMemoryAccess",
;;!     "info: enqueue: InvalidMemoryAccess",
;;!     "info: dequeue: InvalidMemoryAccess",
;;!     "info: dequeue again: Empty",
;;!     "info: define metric: InvalidMemoryAccess",
;;!     "info: define's result: InvalidMemoryAccess",
;;!     "info: metric: InvalidMemoryAccess",
;;!     "info: time: InvalidMemoryAccess",
;;!     "info: call: InvalidMemoryAccess",
;;!     "info: call's result: InvalidMemoryAccess",
;;!     "info: foreign: InvalidMemoryAccess",
;;!     "info: reply: InvalidMemoryAccess",
;;!     "info: reply's body: InvalidMemoryAccess",
;;! ]
;;! [expect.stats]
;;! "wasmcustom.m" = 0
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! headers = ["x-a: 1"]
(module (; prelude ;)
    (global $bad i32 (i32.const 0x7ffffff0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $id i32)
        (call $status @"log" (call $proxy_log (i32.const 2) (global.get $bad) (i32.const 5)))
        (call $status @"log, wrapping" (call $proxy_log (i32.const 2) (i32.const -1) (i32.const 5)))
        (call $status @"log, too long" (call $proxy_log (i32.const 2) (i32.const 0) (i32.const -1)))
        (call $status @"log, empty" (call $proxy_log (i32.const 2) (global.get $bad) (i32.const 0)))
        (call $status @"log level" (call $get_log_level (global.get $bad)))
        (call $status @"status" (call $get_status (global.get $bad) (i32.const 16) (i32.const 20)))
        (call $status @"set property" (call $set_property (global.get $bad) (i32.const 5) @"x"))
        (call $status @"set property" (call $set_property @"x" (global.get $bad) (i32.const 5)))
        (call $status @"property" (call $get_property
            (global.get $bad) (i32.const 5) (i32.const 16) (i32.const 20)))
        (call $status @"property's result" (call $get_property
            @"request\00path" (global.get $bad) (i32.const 20)))
        (call $status @"property's length" (call $get_property
            @"request\00path" (i32.const 16) (global.get $bad)))
        (call $status @"missing property's result" (call $get_property
            @"request\00tea" (global.get $bad) (i32.const 20)))
        (call $status @"header" (call $get_header (i32.const 0)
            (global.get $bad) (i32.const 5) (i32.const 16) (i32.const 20)))
        (call $status @"header's result" (call $get_header (i32.const 0)
            @"x-a" (global.get $bad) (i32.const 20)))
        (call $status @"header of no map" (call $get_header (i32.const 9)
            (global.get $bad) (i32.const 5) (i32.const 16) (i32.const 20)))
        (call $status @"add header" (call $add_header (i32.const 0)
            (global.get $bad) (i32.const 5) @"x"))
        (call $status @"replace header" (call $replace_header (i32.const 0)
            @"x-a" (global.get $bad) (i32.const 5)))
        (call $status @"remove header" (call $remove_header (i32.const 0)
            (global.get $bad) (i32.const 5)))
        (call $status @"pairs" (call $get_pairs (i32.const 0) (global.get $bad) (i32.const 20)))
        (call $status @"pairs of none" (call $get_pairs (i32.const 2) (global.get $bad) (i32.const 20)))
        (call $status @"set pairs" (call $set_pairs (i32.const 0) (global.get $bad) (i32.const 5)))
        (call $status @"size" (call $get_size (i32.const 0) (global.get $bad)))
        (call $status @"buffer" (call $get_buffer (i32.const 0)
            (i32.const 0) (i32.const 1) (global.get $bad) (i32.const 20)))
        (call $status @"buffer's status" (call $get_buffer_status (i32.const 0)
            (global.get $bad) (i32.const 28)))
        (call $status @"set buffer" (call $set_buffer (i32.const 0)
            (i32.const 0) (i32.const 0) (global.get $bad) (i32.const 5)))
        (call $status @"shared" (call $get_shared_data
            (global.get $bad) (i32.const 5) (i32.const 16) (i32.const 20) (i32.const 24)))
        (call $status @"set shared" (call $set_shared_data
            @"x" (global.get $bad) (i32.const 5) (i32.const 0)))
        (call $status @"shared's result" (call $get_shared_data
            @"x" (global.get $bad) (i32.const 20) (i32.const 24)))
        (drop (call $set_shared_data @"x" @"y" (i32.const 0)))
        (call $status @"shared's result" (call $get_shared_data
            @"x" (global.get $bad) (i32.const 20) (i32.const 24)))
        (call $status @"shared's number" (call $get_shared_data
            @"x" (i32.const 16) (i32.const 20) (global.get $bad)))
        (call $status @"register" (call $register_shared_queue
            (global.get $bad) (i32.const 5) (i32.const 24)))
        (call $status @"register's result" (call $register_shared_queue @"q" (global.get $bad)))
        (call $status @"resolve" (call $resolve_shared_queue
            @"" (global.get $bad) (i32.const 5) (i32.const 24)))
        (drop (call $register_shared_queue @"q" (i32.const 24)))
        (local.set $id (i32.load (i32.const 24)))
        (call $status @"enqueue" (call $enqueue_shared_queue
            (local.get $id) (global.get $bad) (i32.const 5)))
        (drop (call $enqueue_shared_queue (local.get $id) @"one"))
        (call $status @"dequeue" (call $dequeue_shared_queue
            (local.get $id) (global.get $bad) (i32.const 20)))
        (call $clear)
        (call $put @"dequeue again")
        (call $result (call $dequeue_shared_queue (local.get $id) (i32.const 16) (i32.const 20)))
        (call $status @"define metric" (call $define_metric (i32.const 0)
            (global.get $bad) (i32.const 5) (i32.const 24)))
        (call $status @"define's result" (call $define_metric (i32.const 0) @"m" (global.get $bad)))
        (call $status @"metric" (call $get_metric
            (call $metric (i32.const 0) @"m") (global.get $bad)))
        (call $status @"time" (call $get_time (global.get $bad)))
        (call $status @"call" (call $http_call (global.get $bad) (i32.const 5)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 24)))
        (call $status @"call's result" (call $http_call @"callee"
            @"\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\05\00\00\00\0a\00\00\00\06\00\00\00:method\00GET\00:path\00/call\00:authority\00callee\00"
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 9000) (global.get $bad)))
        (call $status @"foreign" (call $call_foreign
            (global.get $bad) (i32.const 5) @"" (i32.const 16) (i32.const 20)))
        (call $status @"reply" (call $send_local_response (i32.const 403)
            (global.get $bad) (i32.const 5) @"no" @"" (i32.const -1)))
        (call $status @"reply's body" (call $send_local_response (i32.const 403)
            @"" (global.get $bad) (i32.const 5) @"" (i32.const -1)))
        (i32.const 0)))

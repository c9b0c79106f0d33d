;;! title = "A call to an unknown cluster, or without method, path or authority, is BadArgument"
;;! [cluster.callee]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: call: BadArgument",
;;!     "info: call: BadArgument",
;;!     "info: token 0",
;;!     "info: call: BadArgument",
;;!     "info: token 0",
;;!     "info: call: BadArgument",
;;!     "info: token 0",
;;!     "info: call: BadArgument",
;;!     "info: token 0",
;;!     "info: call: BadArgument",
;;!     "info: token 0",
;;!     "info: call: BadArgument",
;;!     "info: token 0",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $call (param $at i32) (param $length i32) (param $headers i32) (param $size i32)
        (i32.store (i32.const 24) (i32.const -7))
        (call $status @"call" (call $http_call (local.get $at) (local.get $length)
            (local.get $headers) (local.get $size)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 9000) (i32.const 24)))
        (call $say @"token" (i32.load (i32.const 24))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $get @"nowhere" (i32.const 9000))
        (call $call @"callee" @"\02\00\00\00\05\00\00\00\05\00\00\00\0a\00\00\00\06\00\00\00:path\00/call\00:authority\00callee\00")
        (call $call @"callee" @"\02\00\00\00\07\00\00\00\03\00\00\00\0a\00\00\00\06\00\00\00:method\00GET\00:authority\00callee\00")
        (call $call @"callee" @"\02\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\05\00\00\00:method\00GET\00:path\00/call\00")
        (call $call @"callee" @"\00\00\00\00")
        (call $call @"callee" @"")
        (call $call @"callee" @"\01\00\00\00\ff")
        (i32.const 0))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $log @"answered")))

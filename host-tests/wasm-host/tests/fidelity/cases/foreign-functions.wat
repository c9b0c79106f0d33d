;;! title = "Foreign functions: an unknown one is NotFound, the route's cache is cleared without an answer"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: clear_route_cache: Ok ",
;;!     "info: make_tea: NotFound",
;;!     "info: : NotFound",
;;!     "info: clear_route_cache: Ok ",
;;!     "info: clear_route_cache: Ok ",
;;!     "info: set_envoy_filter_state: BadArgument",
;;!     "info: set_envoy_filter_state: NotFound",
;;!     "info: uncompress: SerializationFailure",
;;!     "info: expr_create: BadArgument",
;;!     "info: declare_property: BadArgument",
;;! ]
;;! main_log = [
;;!     "info: clear_route_cache: Ok ",
;;!     "info: clear_route_cache: Ok ",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $foreign (param $at i32) (param $length i32) (param $data i32) (param $size i32)
        (call $clear)
        (call $put (local.get $at) (local.get $length))
        (call $result (call $call_foreign (local.get $at) (local.get $length)
            (local.get $data) (local.get $size) (i32.const 16) (i32.const 20))))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $foreign @"clear_route_cache" (i32.const 0) (i32.const 0))
        (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $foreign @"make_tea" @"now")
        (call $foreign @"" @"")
        (call $foreign @"clear_route_cache" (i32.const 0) (i32.const 0))
        (call $foreign @"clear_route_cache" @"argument")
        (call $foreign @"set_envoy_filter_state" @"no message")
        ;; path = "a", value = "b": no such kind of state.
        (call $foreign @"set_envoy_filter_state" @"\0a\01a\12\01b")
        (call $foreign @"uncompress" @"no stream")
        (call $foreign @"expr_create" @"1 +")
        (call $foreign @"declare_property" @"\ff")
        (i32.const 0)))

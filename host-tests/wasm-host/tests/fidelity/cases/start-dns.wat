;;! title = "There are calls of Envoy and of compilers beside the ABI's"
;;! [[request]]
;;! [expect]
;;! log = ["info: equal 1 0"]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module
    (import "env" "envoy_resolve_dns" (func (param i32 i32 i32) (result i32)))
    (import "env" "emscripten_notify_memory_growth" (func $grown (param i32)))
    (import "env" "pthread_equal" (func $equal (param i32 i32) (result i32)))
    (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $grown (i32.const 0))
        (call $say2 @"equal" (call $equal (i32.const 1) (i32.const 1))
            (call $equal (i32.const 1) (i32.const 2)))
        (i32.const 0)))

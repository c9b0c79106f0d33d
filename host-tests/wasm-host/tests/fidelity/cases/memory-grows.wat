;;! title = "A memory grows to 1 GiB and no further"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: pages 4",
;;!     "info: grow to 16384 4",
;;!     "info: grow by one -1",
;;!     "info: pages 16384",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say @"pages" (memory.size))
        (call $say @"grow to 16384" (memory.grow (i32.sub (i32.const 16384) (memory.size))))
        (call $say @"grow by one" (memory.grow (i32.const 1)))
        (call $say @"pages" (memory.size))
        (i32.const 0)))

;;! title = "Filters see requests in their order and responses in the reverse one; contexts have numbers of their own"
;;! [[plugin]]
;;! name = "one"
;;! root_id = "a"
;;! [[plugin]]
;;! name = "two"
;;! root_id = "b"
;;! [[request]]
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info a: create 1 0",
;;!     "info b: create 2 0",
;;!     "info one a: create 3 1",
;;!     "info one a: request 3",
;;!     "info one a: request.headers.x-by: Ok me",
;;!     "info two b: create 4 2",
;;!     "info two b: request 4",
;;!     "info two b: request.headers.x-by: Ok me,me",
;;!     "info two b: response 4",
;;!     "info one a: response 3",
;;!     "info one a: log 3",
;;!     "info two b: log 4",
;;!     "info one a: done 3",
;;!     "info one a: delete 3",
;;!     "info two b: done 4",
;;!     "info two b: delete 4",
;;!     "info one a: create 5 1",
;;!     "info one a: request 5",
;;!     "info one a: request.headers.x-by: Ok me",
;;!     "info two b: create 6 2",
;;!     "info two b: request 6",
;;!     "info two b: request.headers.x-by: Ok me,me",
;;!     "info two b: response 6",
;;!     "info one a: response 5",
;;!     "info one a: log 5",
;;!     "info two b: log 6",
;;!     "info one a: done 5",
;;!     "info one a: delete 5",
;;!     "info two b: done 6",
;;!     "info two b: delete 6",
;;! ]
;;! main_log = [
;;!     "info a: create 1 0",
;;!     "info a: create 1 0",
;;!     "info b: create 1 0",
;;!     "info b: create 2 0",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! headers = [
;;!     "x-by: me",
;;!     "x-by: me",
;;! ]
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
;;! headers = [
;;!     "x-by: me",
;;!     "x-by: me",
;;! ]
(module (; prelude ;)
    (func (export "proxy_on_context_create") (param i32 i32)
        (call $say2 @"create" (local.get 0) (local.get 1)))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say @"request" (local.get 0))
        (drop (call $add_header (i32.const 0) @"x-by" @"me"))
        (call $show_property @"request\00headers\00x-by")
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $say @"response" (local.get 0)) (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $say @"log" (local.get 0)))
    (func (export "proxy_on_done") (param i32) (result i32)
        (call $say @"done" (local.get 0)) (i32.const 1))
    (func (export "proxy_on_delete") (param i32) (call $say @"delete" (local.get 0))))

;;! title = "Who registered a queue last is told once for each entry, later, on its root"
;;! until = ["ready, two", "ready, one"]
;;! [[plugin]]
;;! root_id = "root"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: register: Ok",
;;!     "info: enqueued",
;;!     "info: ready, one, context 1, its queue 1",
;;!     "info: ready, two, context 1, its queue 1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (global $id (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $set_effective_context (i32.const 1)))
        (call $status @"register" (call $register_shared_queue @"q" (i32.const 24)))
        (global.set $id (i32.load (i32.const 24)))
        (drop (call $enqueue_shared_queue (global.get $id) @"one"))
        (drop (call $enqueue_shared_queue (global.get $id) @"two"))
        (call $log @"enqueued")
        (i32.const 0))
    (func (export "proxy_on_queue_ready") (param i32 i32)
        (call $put @"ready, ")
        (call $clear)
        (drop (call $dequeue_shared_queue (global.get $id) (i32.const 16) (i32.const 20)))
        (call $put (i32.load (i32.const 16)) (i32.load (i32.const 20)))
        (call $put @", context ")
        (call $put_number (local.get 0))
        (call $put @", its queue ")
        (call $put_number (i32.eq (local.get 1) (global.get $id)))
        (call $flush)))

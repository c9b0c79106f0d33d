;;! title = "A queue is first in, first out; one that is not there is NotFound, an empty one Empty"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: resolve: NotFound",
;;!     "info: enqueue: NotFound",
;;!     "info: dequeue: NotFound",
;;!     "info: register: Ok",
;;!     "info: register again: Ok",
;;!     "info: the same 1",
;;!     "info: resolve: Ok",
;;!     "info: the same 1",
;;!     "info: resolve of another VM: NotFound",
;;!     "info: dequeue: Empty",
;;!     "info: enqueue: Ok",
;;!     "info: enqueue: Ok",
;;!     "info: enqueue nothing: Ok",
;;!     "info: dequeue: Ok one",
;;!     "info: dequeue: Ok two",
;;!     "info: dequeue: Ok ",
;;!     "info: dequeue: Empty",
;;!     "info: ready 1",
;;!     "info: ready 1",
;;!     "info: ready 1",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $dequeue (param $id i32)
        (call $clear)
        (call $put @"dequeue")
        (call $result (call $dequeue_shared_queue
            (local.get $id) (i32.const 16) (i32.const 20))))
    (func (export "proxy_on_queue_ready") (param i32 i32) (call $say @"ready" (local.get 0)))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (local $id i32) (local $same i32)
        (call $status @"resolve" (call $resolve_shared_queue @"" @"q" (i32.const 24)))
        (call $status @"enqueue" (call $enqueue_shared_queue (i32.const 77) @"one"))
        (call $dequeue (i32.const 77))
        (call $status @"register" (call $register_shared_queue @"q" (i32.const 24)))
        (local.set $id (i32.load (i32.const 24)))
        (call $status @"register again" (call $register_shared_queue @"q" (i32.const 24)))
        (local.set $same (i32.eq (i32.load (i32.const 24)) (local.get $id)))
        (call $say @"the same" (local.get $same))
        (call $status @"resolve" (call $resolve_shared_queue @"" @"q" (i32.const 24)))
        (call $say @"the same" (i32.eq (i32.load (i32.const 24)) (local.get $id)))
        (call $status @"resolve of another VM" (call $resolve_shared_queue @"x" @"q" (i32.const 24)))
        (call $dequeue (local.get $id))
        (call $status @"enqueue" (call $enqueue_shared_queue (local.get $id) @"one"))
        (call $status @"enqueue" (call $enqueue_shared_queue (local.get $id) @"two"))
        (call $status @"enqueue nothing" (call $enqueue_shared_queue (local.get $id) @""))
        (call $dequeue (local.get $id))
        (call $dequeue (local.get $id))
        (call $dequeue (local.get $id))
        (call $dequeue (local.get $id))
        (i32.const 0)))

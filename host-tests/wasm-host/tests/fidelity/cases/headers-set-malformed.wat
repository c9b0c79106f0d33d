;;! title = "Pairs that cannot be read, or are more than 1024 or 1 MiB, are none: all headers go"
;;! [[request]]
;;! path = "/short"
;;! headers = ["x-a: 1"]
;;! [[request]]
;;! path = "/count"
;;! headers = ["x-a: 1"]
;;! [[request]]
;;! path = "/many"
;;! headers = ["x-a: 1"]
;;! [[request]]
;;! path = "/large"
;;! headers = ["x-a: 1"]
;;! [expect]
;;! log = [
;;!     "info: shorter than its sizes: BadArgument",
;;!     "info: shorter than its sizes: Ok",
;;!     "info: pairs 0: Ok 0 bytes",
;;!     "info: no count: Ok",
;;!     "info: pairs 0: Ok 0 bytes",
;;!     "info: many: Ok",
;;!     "info: pairs 0: Ok 0 bytes",
;;!     "info: large: Ok",
;;!     "info: pairs 0: Ok 0 bytes",
;;! ]
;;! [[expect.answer]]
;;! status = 404
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 404
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 404
;;! headers = ["content-length: 0"]
;;! [[expect.answer]]
;;! status = 404
;;! headers = ["content-length: 0"]
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (local $at i32)
        (if (call $path_is @"/short") (then
            (call $status @"shorter than its sizes"
                (call $set_pairs (i32.const 2) @"\01\00\00\00\05\00\00\00\05\00\00\00x-b\001\00"))
            (call $status @"shorter than its sizes"
                (call $set_pairs (i32.const 0) @"\01\00\00\00\05\00\00\00\05\00\00\00x-b\001\00"))))
        (if (call $path_is @"/count") (then
            (call $status @"no count" (call $set_pairs (i32.const 0) @"\01\00"))))
        (local.set $at (call $malloc (i32.const 1100000)))
        (if (call $path_is @"/many") (then
            ;; 1025 pairs of two empty texts each.
            (i32.store (local.get $at) (i32.const 1025))
            (call $status @"many"
                (call $set_pairs (i32.const 0) (local.get $at) (i32.const 10254)))))
        (if (call $path_is @"/large") (then
            ;; One pair with a value of 1 MiB.
            (i32.store (local.get $at) (i32.const 1))
            (i32.store offset=4 (local.get $at) (i32.const 1))
            (i32.store offset=8 (local.get $at) (i32.const 1048576))
            (i32.store8 offset=12 (local.get $at) (i32.const 120))
            (call $status @"large"
                (call $set_pairs (i32.const 0) (local.get $at) (i32.const 1048591)))))
        (call $show_pairs (i32.const 0))
        (i32.const 0)))

;;! title = "Shared data has a number that changes with every value, and is written only under it if asked to"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: a: NotFound",
;;!     "info: set what is not there, with a number: Ok",
;;!     "info: a: Ok one",
;;!     "info: set with a wrong number: CasMismatch",
;;!     "info: set with the number: Ok",
;;!     "info: set with the number again: CasMismatch",
;;!     "info: a: Ok three",
;;!     "info: changed 1",
;;!     "info: set without: Ok",
;;!     "info: a: Ok ",
;;!     "info: set no key: Ok",
;;!     "info: : Ok x",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $cas i32)
        (call $show_shared @"a")
        (call $status @"set what is not there, with a number"
            (call $set_shared_data @"a" @"one" (i32.const 77)))
        (call $show_shared @"a")
        (local.set $cas (i32.load (i32.const 24)))
        (call $status @"set with a wrong number"
            (call $set_shared_data @"a" @"two" (i32.add (local.get $cas) (i32.const 1))))
        (call $status @"set with the number"
            (call $set_shared_data @"a" @"three" (local.get $cas)))
        (call $status @"set with the number again"
            (call $set_shared_data @"a" @"four" (local.get $cas)))
        (call $show_shared @"a")
        (call $say @"changed" (i32.ne (i32.load (i32.const 24)) (local.get $cas)))
        (call $status @"set without" (call $set_shared_data @"a" @"" (i32.const 0)))
        (call $show_shared @"a")
        (call $status @"set no key" (call $set_shared_data @"" @"x" (i32.const 0)))
        (call $show_shared @"")
        (i32.const 0)))

;;! title = "A map that is not there: no value, no size, but all of its pairs, which are none"
;;! why = "The types are those of request and response, gRPC, calls, and two that do not exist"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: map 1",
;;!     "info: x-a: BadArgument",
;;!     "info: size 1: BadArgument 0",
;;!     "info: pairs 1: Ok 0 bytes",
;;!     "info: add: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: remove: BadArgument",
;;!     "info: set: BadArgument",
;;!     "info: map 2",
;;!     "info: x-a: BadArgument",
;;!     "info: size 2: BadArgument 0",
;;!     "info: pairs 2: Ok 0 bytes",
;;!     "info: add: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: remove: BadArgument",
;;!     "info: set: BadArgument",
;;!     "info: map 3",
;;!     "info: x-a: BadArgument",
;;!     "info: size 3: BadArgument 0",
;;!     "info: pairs 3: Ok 0 bytes",
;;!     "info: add: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: remove: BadArgument",
;;!     "info: set: BadArgument",
;;!     "info: map 4",
;;!     "info: x-a: BadArgument",
;;!     "info: size 4: BadArgument 0",
;;!     "info: pairs 4: Ok 0 bytes",
;;!     "info: add: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: remove: BadArgument",
;;!     "info: set: BadArgument",
;;!     "info: map 5",
;;!     "info: x-a: BadArgument",
;;!     "info: size 5: BadArgument 0",
;;!     "info: pairs 5: Ok 0 bytes",
;;!     "info: add: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: remove: BadArgument",
;;!     "info: set: BadArgument",
;;!     "info: map 6",
;;!     "info: x-a: BadArgument",
;;!     "info: size 6: BadArgument 0",
;;!     "info: pairs 6: Ok 0 bytes",
;;!     "info: add: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: remove: BadArgument",
;;!     "info: set: BadArgument",
;;!     "info: map 7",
;;!     "info: x-a: BadArgument",
;;!     "info: size 7: BadArgument 0",
;;!     "info: pairs 7: Ok 0 bytes",
;;!     "info: add: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: remove: BadArgument",
;;!     "info: set: BadArgument",
;;!     "info: map 8",
;;!     "info: x-a: BadArgument",
;;!     "info: size 8: BadArgument 0",
;;!     "info: pairs 8: BadArgument 0 bytes",
;;!     "info: add: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: remove: BadArgument",
;;!     "info: set: BadArgument",
;;!     "info: map -1",
;;!     "info: x-a: BadArgument",
;;!     "info: size -1: BadArgument 0",
;;!     "info: pairs -1: BadArgument 0 bytes",
;;!     "info: add: BadArgument",
;;!     "info: replace: BadArgument",
;;!     "info: remove: BadArgument",
;;!     "info: set: BadArgument",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $all (param $map i32)
        (call $say @"map" (local.get $map))
        (call $show_header (local.get $map) @"x-a")
        (call $show_size (local.get $map))
        (call $show_pairs (local.get $map))
        (call $status @"add" (call $add_header (local.get $map) @"x-a" @"1"))
        (call $status @"replace" (call $replace_header (local.get $map) @"x-a" @"1"))
        (call $status @"remove" (call $remove_header (local.get $map) @"x-a"))
        (call $status @"set" (call $set_pairs (local.get $map) @"\00\00\00\00")))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (local $map i32)
        (local.set $map (i32.const 1))
        (loop $next
            (call $all (local.get $map))
            (local.set $map (i32.add (local.get $map) (i32.const 1)))
            (br_if $next (i32.lt_s (local.get $map) (i32.const 9))))
        (call $all (i32.const -1))
        (i32.const 0)))

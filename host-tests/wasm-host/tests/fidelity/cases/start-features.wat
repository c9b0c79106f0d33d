;;! title = "Newer instructions are understood: vectors, bulk memory, tail calls, several results"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: two 1 2",
;;!     "info: tail 7",
;;!     "info: vector 6",
;;!     "info: AAA",
;;!     "info: saturating 2147483647",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module (; prelude ;)
    (func $two (result i32 i32) (i32.const 1) (i32.const 2))
    (func $tail (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 7))))
        (return_call $tail (i32.sub (local.get 0) (i32.const 1))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $say2 @"two" (call $two))
        (call $say @"tail" (call $tail (i32.const 1000000)))
        (call $say @"vector" (i32x4.extract_lane 2 (i32x4.add
            (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4))))
        (memory.fill (i32.const 256) (i32.const 65) (i32.const 3))
        (memory.copy (i32.const 260) (i32.const 256) (i32.const 3))
        (call $log (i32.const 260) (i32.const 3))
        (call $say @"saturating" (i32.trunc_sat_f32_s (f32.const 1e30)))
        (i32.const 0)))

;;! title = "What is written to standard output is logged as info, to standard error as error; else there is nothing to write to"
;;! [[request]]
;;! [expect]
;;! log = [
;;!     "info: write 0 8",
;;!     "info: written -1",
;;!     "info: fdstat 0 8",
;;!     "info: close 0 0",
;;!     "info: one, two",
;;!     "info: write 1 0",
;;!     "info: written 9",
;;!     "info: fdstat 1 0",
;;!     "info: close 1 0",
;;!     "error: one, two",
;;!     "info: write 2 0",
;;!     "info: written 9",
;;!     "info: fdstat 2 0",
;;!     "info: close 2 0",
;;!     "info: write 3 8",
;;!     "info: written -1",
;;!     "info: fdstat 3 8",
;;!     "info: close 3 0",
;;!     "info: write from a bad pointer 21",
;;!     "info: one, ",
;;!     "info: write to a bad pointer 21",
;;!     "info: read 52",
;;!     "info: seek 0",
;;!     "info: flags 52",
;;!     "info: prestat 8",
;;!     "info: prestat name 52",
;;!     "info: open 44",
;;! ]
;;! [[expect.answer]]
;;! status = 200
;;! body = "hello"
;;! [[expect.upstream]]
;;! cluster = "upstream"
;;! request = "GET /"
(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $flags (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
        (func $prestat_name (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (; prelude ;)
    ;; Two parts at 256: "one, " and "two\n".
    (func $parts
        (i32.store (i32.const 256) (i32.const 300)) (i32.store (i32.const 260) (i32.const 5))
        (i32.store (i32.const 264) (i32.const 310)) (i32.store (i32.const 268) (i32.const 4)))
    (data (i32.const 300) "one, ")
    (data (i32.const 310) "two\0a")
    (func $try (param $fd i32)
        (i32.store (i32.const 280) (i32.const -1))
        (call $say2 @"write" (local.get $fd)
            (call $write (local.get $fd) (i32.const 256) (i32.const 2) (i32.const 280)))
        (call $say @"written" (i32.load (i32.const 280)))
        (call $say2 @"fdstat" (local.get $fd) (call $stat (local.get $fd) (i32.const 400)))
        (call $say2 @"close" (local.get $fd) (call $close (local.get $fd))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $parts)
        (call $try (i32.const 0))
        (call $try (i32.const 1))
        (call $try (i32.const 2))
        (call $try (i32.const 3))
        (call $say @"write from a bad pointer"
            (call $write (i32.const 1) (i32.const 0x7ffffff0) (i32.const 1) (i32.const 280)))
        (call $say @"write to a bad pointer"
            (call $write (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 0x7ffffff0)))
        (call $say @"read" (call $read (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 280)))
        (call $say @"seek" (call $seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 280)))
        (call $say @"flags" (call $flags (i32.const 1) (i32.const 0)))
        (call $say @"prestat" (call $prestat (i32.const 3) (i32.const 400)))
        (call $say @"prestat name" (call $prestat_name (i32.const 3) (i32.const 400) (i32.const 9)))
        (call $say @"open" (call $open (i32.const 3) (i32.const 0) @"/etc/passwd" (i32.const 0)
            (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 280)))
        (i32.const 0)))

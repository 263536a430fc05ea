;; A job as a compiler for WASI 0.1 leaves it: a core module that imports `wasi_snapshot_preview1`, exports the functions
;; of the contract, and says nothing else of what it is. It copies a topic to a table. A row is the record's value and
;; what the record asked of WASI by its first letter:
;;
;;   c  24 bytes: the wall clock, the monotonic clock, and that again after a sleep of five seconds
;;   r  16 random bytes
;;   n  24 bytes: arguments, their bytes, variables of the environment, their bytes; the errors of the first folder, of
;;      opening a file, of reading stdin; the bytes read from stdin
;;   o  nothing, and the value is a line of stdout;  e  … of stderr;  f  … of stderr, 200 times
;;   p  … of stderr, and then it breaks off;  x  it exits with code 3;  b  two MiB of random bytes
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 8)

  ;; What `describe` answers: Ok, the name, no interval, one source, no stages, one sink.
  (data (i32.const 1024)
    "\00\00\00\00\00\00\00\00" "\00\08\00\00\04\00\00\00" "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
    "\40\04\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00" "\60\04\00\00\01\00\00\00")
  ;; The source: connector, name, no options, no table.
  (data (i32.const 1088)
    "\08\08\00\00\05\00\00\00" "\10\08\00\00\05\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00")
  ;; The sink: connector, name, no options, one key, not dynamic, one column, no headers.
  (data (i32.const 1120)
    "\18\08\00\00\05\00\00\00" "\10\08\00\00\05\00\00\00" "\00\00\00\00\00\00\00\00"
    "\a0\04\00\00\01\00\00\00" "\00\00\00\00" "\b0\04\00\00\01\00\00\00" "\00\00\00\00")
  ;; The key and the column: name, kind `bytes`, not optional.
  (data (i32.const 1184) "\10\08\00\00\05\00\00\00" "\01\00\00\00")
  (data (i32.const 1200) "\28\08\00\00\0c\00\00\00" "\01\00\00\00")
  (data (i32.const 2048) "asks")
  (data (i32.const 2056) "kafka")
  (data (i32.const 2064) "asked")
  (data (i32.const 2072) "hbase")
  (data (i32.const 2088) "asked:answer")
  (data (i32.const 2112) "\n")

  (global $heap (mut i32) (i32.const 65536))
  ;; Memory that is never given back: the adapter keeps its own in it.
  (func $realloc (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32)
    (result i32) (local $at i32) (local $missing i32)
    (local.set $at (i32.and
      (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (local.set $missing (i32.sub (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (drop (memory.grow (i32.add (i32.div_u (local.get $missing) (i32.const 65536)) (i32.const 1))))))
    (memory.copy (local.get $at) (local.get $old) (local.get $had))
    (local.get $at))
  (func $alloc (param $align i32) (param $size i32) (result i32)
    (call $realloc (i32.const 0) (i32.const 0) (local.get $align) (local.get $size)))

  ;; Writes a value and an end of line to a stream.
  (func $print (param $fd i32) (param $value i32) (param $bytes i32)
    (i32.store (i32.const 3072) (local.get $value))
    (i32.store (i32.const 3076) (local.get $bytes))
    (i32.store (i32.const 3080) (i32.const 2112))
    (i32.store (i32.const 3084) (i32.const 1))
    (if (call $fd_write (local.get $fd) (i32.const 3072) (i32.const 1) (i32.const 3088)) (then (unreachable)))
    (if (call $fd_write (local.get $fd) (i32.const 3080) (i32.const 1) (i32.const 3088)) (then (unreachable))))

  (func $time (param $clock i32) (param $to i32)
    (if (call $clock_time_get (local.get $clock) (i64.const 1) (local.get $to)) (then (unreachable))))
  ;; A subscription to the monotonic clock, five seconds from now, and its event.
  (func $sleep
    (i32.store (i32.const 3120) (i32.const 1))
    (i64.store (i32.const 3128) (i64.const 5000000000))
    (if (call $poll_oneoff (i32.const 3104) (i32.const 3168) (i32.const 1) (i32.const 3200)) (then (unreachable)))
    (if (i32.ne (i32.load (i32.const 3200)) (i32.const 1)) (then (unreachable))))

  (func $nothing (param $to i32)
    (drop (call $args_sizes_get (local.get $to) (i32.add (local.get $to) (i32.const 4))))
    (drop (call $environ_sizes_get (i32.add (local.get $to) (i32.const 8)) (i32.add (local.get $to) (i32.const 12))))
    (i32.store8 offset=16 (local.get $to) (call $fd_prestat_get (i32.const 3) (i32.const 3088)))
    (i32.store8 offset=17 (local.get $to) (call $path_open (i32.const 3) (i32.const 0) (i32.const 2048) (i32.const 4)
      (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 3088)))
    (i32.store (i32.const 3072) (i32.const 3392))
    (i32.store (i32.const 3076) (i32.const 8))
    (i32.store8 offset=18 (local.get $to)
      (call $fd_read (i32.const 0) (i32.const 3072) (i32.const 1) (i32.add (local.get $to) (i32.const 20)))))

  ;; Asks what the first letter of a value says, writes the answer to $to, and gives its length.
  (func $answer (param $value i32) (param $bytes i32) (param $to i32) (result i32) (local $letter i32) (local $i i32)
    (local.set $letter (i32.load8_u (local.get $value)))
    (if (i32.eq (local.get $letter) (i32.const 99 (; c ;)))
      (then
        (call $time (i32.const 0) (local.get $to))
        (call $time (i32.const 1) (i32.add (local.get $to) (i32.const 8)))
        (call $sleep)
        (call $time (i32.const 1) (i32.add (local.get $to) (i32.const 16)))
        (return (i32.const 24))))
    (if (i32.eq (local.get $letter) (i32.const 114 (; r ;)))
      (then
        (drop (call $random_get (local.get $to) (i32.const 16)))
        (return (i32.const 16))))
    (if (i32.eq (local.get $letter) (i32.const 110 (; n ;)))
      (then (call $nothing (local.get $to)) (return (i32.const 24))))
    (if (i32.eq (local.get $letter) (i32.const 111 (; o ;)))
      (then (call $print (i32.const 1) (local.get $value) (local.get $bytes))))
    (if (i32.eq (local.get $letter) (i32.const 101 (; e ;)))
      (then (call $print (i32.const 2) (local.get $value) (local.get $bytes))))
    (if (i32.eq (local.get $letter) (i32.const 102 (; f ;)))
      (then
        (loop $more
          (call $print (i32.const 2) (local.get $value) (local.get $bytes))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $i) (i32.const 200))))))
    (if (i32.eq (local.get $letter) (i32.const 112 (; p ;)))
      (then (call $print (i32.const 2) (local.get $value) (local.get $bytes)) (unreachable)))
    (if (i32.eq (local.get $letter) (i32.const 120 (; x ;)))
      (then (call $proc_exit (i32.const 3))))
    (if (i32.eq (local.get $letter) (i32.const 98 (; b ;)))
      (then
        (drop (call $random_get (call $alloc (i32.const 1) (i32.const 2097152)) (i32.const 2097152)))))
    (i32.const 0))

  (func (export "streamhost:job/guest@0.2.0#describe") (result i32) (i32.const 1024))
  ;; A row for each record. The arguments lie in memory: the time of the partition at 24, the values at 80, their ends at
  ;; 88, how many they are at 100.
  (func (export "streamhost:job/guest@0.2.0#transform") (param $in i32) (result i32)
    (local $count i32) (local $i i32) (local $value i32) (local $bytes i32) (local $end i32) (local $got i32)
    (local $positions i32) (local $ends i32) (local $cells i32) (local $at i32) (local $rows i32) (local $out i32)
    (local.set $count (i32.load offset=100 (local.get $in)))
    (local.set $positions (call $alloc (i32.const 4) (i32.mul (local.get $count) (i32.const 4))))
    (local.set $ends (call $alloc (i32.const 4) (i32.mul (local.get $count) (i32.const 8))))
    (local.set $cells (call $alloc (i32.const 1)
      (i32.add (i32.load offset=84 (local.get $in)) (i32.mul (local.get $count) (i32.const 32)))))
    (block $done (loop $more
      (br_if $done (i32.eq (local.get $i) (local.get $count)))
      (local.set $value (i32.add (i32.load offset=80 (local.get $in)) (local.get $end)))
      (local.set $bytes (i32.sub
        (i32.load (i32.add (i32.load offset=88 (local.get $in)) (i32.mul (local.get $i) (i32.const 4))))
        (local.get $end)))
      (local.set $end (i32.add (local.get $end) (local.get $bytes)))
      (i32.store (i32.add (local.get $positions) (i32.mul (local.get $i) (i32.const 4))) (local.get $i))
      (memory.copy (i32.add (local.get $cells) (local.get $at)) (local.get $value) (local.get $bytes))
      (local.set $at (i32.add (local.get $at) (local.get $bytes)))
      (i32.store (i32.add (local.get $ends) (i32.mul (local.get $i) (i32.const 8))) (local.get $at))
      (local.set $got (call $answer (local.get $value) (local.get $bytes) (i32.const 3328)))
      (memory.copy (i32.add (local.get $cells) (local.get $at)) (i32.const 3328) (local.get $got))
      (local.set $at (i32.add (local.get $at) (local.get $got)))
      (i32.store offset=4 (i32.add (local.get $ends) (i32.mul (local.get $i) (i32.const 8))) (local.get $at))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $more)))
    ;; The rows of the sink: positions, cells, and eight lists with nothing in them.
    (local.set $rows (call $alloc (i32.const 4) (i32.const 144)))
    (memory.fill (local.get $rows) (i32.const 0) (i32.const 144))
    (i32.store (local.get $rows) (local.get $positions))
    (i32.store offset=4 (local.get $rows) (local.get $count))
    (i32.store offset=8 (local.get $rows) (local.get $cells))
    (i32.store offset=12 (local.get $rows) (local.get $at))
    (i32.store offset=16 (local.get $rows) (local.get $ends))
    (i32.store offset=20 (local.get $rows) (i32.mul (local.get $count) (i32.const 2)))
    ;; The answer: no faults, rows of one sink, nothing keyed, none late, the partition's time as it was.
    (local.set $out (call $alloc (i32.const 8) (i32.const 40)))
    (memory.fill (local.get $out) (i32.const 0) (i32.const 40))
    (i32.store offset=8 (local.get $out) (local.get $rows))
    (i32.store offset=12 (local.get $out) (i32.const 1))
    (i64.store offset=32 (local.get $out) (i64.load offset=24 (local.get $in)))
    (local.get $out))
  ;; It has no keyed stage.
  (func (export "streamhost:job/guest@0.2.0#combine")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (unreachable))
  (func (export "streamhost:job/guest@0.2.0#finish") (param i32) (result i32) (unreachable))
  (func (export "streamhost:job/guest@0.2.0#process") (param i32) (result i32) (unreachable))
  (func (export "streamhost:job/guest@0.2.0#migrate") (param i32 i32 i32 i32 i32) (result i32) (unreachable))
)

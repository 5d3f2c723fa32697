//! Guests that ask WASI 0.2 itself, without the adapter between.

/// A component whose `f` of 0 makes a TCP socket, of 1 a UDP socket, and of 2 looks a name up; it returns the number of
/// the error if its second argument is 0, and else traps.
pub(super) const NETWORK: &str = r#"(component
  (import "wasi:sockets/network@0.2.0" (instance $network
    (export "network" (type $network (sub resource)))
    (type $codes (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
      "address-not-bindable" "address-in-use" "remote-unreachable" "connection-refused" "connection-reset"
      "connection-aborted" "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
      "permanent-resolver-failure"))
    (export "error-code" (type (eq $codes)))
    (type $families (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $families)))))
  (alias export $network "network" (type $net))
  (alias export $network "error-code" (type $code))
  (alias export $network "ip-address-family" (type $family))
  (import "wasi:sockets/instance-network@0.2.0" (instance $given
    (export "network" (type $network (eq $net)))
    (export "instance-network" (func (result (own $network))))))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $tcp-socket))
  (import "wasi:sockets/udp@0.2.0" (instance $udp (export "udp-socket" (type (sub resource)))))
  (alias export $udp "udp-socket" (type $udp-socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $tcp-create
    (export "error-code" (type $code' (eq $code)))
    (export "ip-address-family" (type $family' (eq $family)))
    (export "tcp-socket" (type $socket (eq $tcp-socket)))
    (export "create-tcp-socket"
      (func (param "address-family" $family') (result (result (own $socket) (error $code')))))))
  (import "wasi:sockets/udp-create-socket@0.2.0" (instance $udp-create
    (export "error-code" (type $code' (eq $code)))
    (export "ip-address-family" (type $family' (eq $family)))
    (export "udp-socket" (type $socket (eq $udp-socket)))
    (export "create-udp-socket"
      (func (param "address-family" $family') (result (result (own $socket) (error $code')))))))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
    (export "error-code" (type $code' (eq $code)))
    (export "network" (type $network' (eq $net)))
    (export "resolve-address-stream" (type $stream (sub resource)))
    (export "resolve-addresses" (func (param "network" (borrow $network')) (param "name" string)
      (result (result (own $stream) (error $code')))))))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (core func $instance-network (canon lower (func $given "instance-network")))
  (core func $create-tcp (canon lower (func $tcp-create "create-tcp-socket") (memory $mem)))
  (core func $create-udp (canon lower (func $udp-create "create-udp-socket") (memory $mem)))
  (core func $resolve (canon lower (func $lookup "resolve-addresses") (memory $mem)))
  (core module $main
    (import "host" "memory" (memory 1))
    (import "host" "network" (func $network (result i32)))
    (import "host" "tcp" (func $tcp (param i32 i32)))
    (import "host" "udp" (func $udp (param i32 i32)))
    (import "host" "resolve" (func $resolve (param i32 i32 i32 i32)))
    (data (i32.const 64) "wasm.example")
    (func (export "f") (param $way i32) (param $traps i32) (result i32)
      (if (i32.eq (local.get $way) (i32.const 0)) (then (call $tcp (i32.const 0) (i32.const 16))))
      (if (i32.eq (local.get $way) (i32.const 1)) (then (call $udp (i32.const 0) (i32.const 16))))
      (if (i32.eq (local.get $way) (i32.const 2)) (then
        (call $resolve (call $network) (i32.const 64) (i32.const 12) (i32.const 16))))
      (if (i32.or (i32.eqz (i32.load8_u (i32.const 16))) (local.get $traps)) (then unreachable))
      (i32.load8_u (i32.const 20))))
  (core instance $main (instantiate $main (with "host" (instance
    (export "memory" (memory $mem))
    (export "network" (func $instance-network))
    (export "tcp" (func $create-tcp))
    (export "udp" (func $create-udp))
    (export "resolve" (func $resolve))))))
  (func (export "f") (param "way" u32) (param "traps" u32) (result u32) (canon lift (core func $main "f"))))"#;

/// A component whose `f` opens `inside.txt` and reads it without waiting: it asks for bytes, waits until there are some
/// and asks again, as often as it is told, and returns how many there were.
pub(super) const STREAM: &str = r#"(component
  (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "error" (type $error' (eq $error)))
    (export "pollable" (type $pollable' (eq $pollable)))
    (export "input-stream" (type $input (sub resource)))
    (type $failures (variant (case "last-operation-failed" (own $error')) (case "closed")))
    (export "stream-error" (type $failure (eq $failures)))
    (export "[method]input-stream.read" (func (param "self" (borrow $input)) (param "len" u64)
      (result (result (list u8) (error $failure)))))
    (export "[method]input-stream.subscribe" (func (param "self" (borrow $input)) (result (own $pollable'))))))
  (alias export $streams "input-stream" (type $input))
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (export "input-stream" (type $input' (eq $input)))
    (export "descriptor" (type $descriptor (sub resource)))
    (type $codes (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist"
      "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop"
      "too-many-links" "message-size" "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory"
      "insufficient-space" "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device"
      "overflow" "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $code (eq $codes)))
    (type $paths (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $paths)))
    (type $opens (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $opens)))
    (type $flags (flags "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync"
      "mutate-directory"))
    (export "descriptor-flags" (type $descriptor-flags (eq $flags)))
    (export "[method]descriptor.open-at" (func (param "self" (borrow $descriptor)) (param "path-flags" $path-flags)
      (param "path" string) (param "open-flags" $open-flags) (param "flags" $descriptor-flags)
      (result (result (own $descriptor) (error $code)))))
    (export "[method]descriptor.read-via-stream" (func (param "self" (borrow $descriptor)) (param "offset" u64)
      (result (result (own $input') (error $code)))))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (export "descriptor" (type $descriptor' (eq $descriptor)))
    (export "get-directories" (func (result (list (tuple (own $descriptor') string)))))))
  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.add (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)) (local.get 3)))
      (i32.sub (global.get $next) (local.get 3))))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $folders
    (canon lower (func $preopens "get-directories") (memory $mem) (realloc (func $realloc))))
  (core func $open (canon lower (func $types "[method]descriptor.open-at") (memory $mem)))
  (core func $stream (canon lower (func $types "[method]descriptor.read-via-stream") (memory $mem)))
  (core func $read
    (canon lower (func $streams "[method]input-stream.read") (memory $mem) (realloc (func $realloc))))
  (core func $subscribe (canon lower (func $streams "[method]input-stream.subscribe")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core module $main
    (import "host" "memory" (memory 1))
    (import "host" "folders" (func $folders (param i32)))
    (import "host" "open" (func $open (param i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "stream" (func $stream (param i32 i64 i32)))
    (import "host" "read" (func $read (param i32 i64 i32)))
    (import "host" "subscribe" (func $subscribe (param i32) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (data (i32.const 64) "inside.txt")
    (func $once (param $file i32) (result i32) (local $stream i32)
      (call $stream (local.get $file) (i64.const 0) (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then unreachable))
      (local.set $stream (i32.load (i32.const 20)))
      (call $read (local.get $stream) (i64.const 100) (i32.const 32))
      (if (i32.load8_u (i32.const 32)) (then unreachable))
      (call $block (call $subscribe (local.get $stream)))
      (call $read (local.get $stream) (i64.const 100) (i32.const 32))
      (if (i32.load8_u (i32.const 32)) (then unreachable))
      (i32.load (i32.const 40)))
    (func (export "f") (param $times i32) (result i32) (local $file i32) (local $total i32)
      (call $folders (i32.const 16))
      (call $open (i32.load (i32.load (i32.const 16))) (i32.const 1) (i32.const 64) (i32.const 10) (i32.const 0)
        (i32.const 1) (i32.const 32))
      (if (i32.load8_u (i32.const 32)) (then unreachable))
      (local.set $file (i32.load (i32.const 36)))
      (loop $again
        (local.set $total (i32.add (local.get $total) (call $once (local.get $file))))
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $again (i32.gt_s (local.get $times) (i32.const 0))))
      (local.get $total)))
  (core instance $main (instantiate $main (with "host" (instance
    (export "memory" (memory $mem))
    (export "folders" (func $folders))
    (export "open" (func $open))
    (export "stream" (func $stream))
    (export "read" (func $read))
    (export "subscribe" (func $subscribe))
    (export "block" (func $block))))))
  (func (export "f") (param "times" u32) (result u32) (canon lift (core func $main "f"))))"#;

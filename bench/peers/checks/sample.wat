;; What bench/peers/check asks a peer to call. Rebuild:
;;   wat2wasm bench/peers/checks/sample.wat -o bench/peers/checks/sample.wasm
(module
  (memory (export "memory") 1 8)
  (global $constructed (mut i32) (i32.const 0))
  (global $calls (mut i32) (i32.const 0))

  (func (export "__wasm_call_ctors")
    (global.set $constructed (i32.add (global.get $constructed) (i32.const 1))))
  (func (export "constructed") (result i32) (global.get $constructed))

  (func (export "nothing"))
  (func (export "add3") (param i32 i32 i32) (result i32)
    (i32.add (i32.add (local.get 0) (local.get 1)) (local.get 2)))
  (func (export "wide") (param i64) (result i64) (local.get 0))

  ;; 0, 0, 7, 0, 0, 7, …
  (func (export "third") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (result i32) (i32.rem_u (global.get $calls) (i32.const 3))
      (then (i32.const 0))
      (else (i32.const 7))))

  ;; Adds up 32-bit words, from an address, so many; the last sum goes to address 0.
  (func (export "sum") (param $at i32) (param $count i32)
    (local $total i32)
    (loop $next
      (local.set $total (i32.mul (i32.add (local.get $total) (i32.load (local.get $at)))
                                 (i32.const 0x01000193)))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (i32.store (i32.const 0) (local.get $total)))

  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "store8") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))

  (func (export "unreachable") (unreachable))
  (func (export "divide") (param i32 i32) (result i32)
    (i32.div_u (local.get 0) (local.get 1)))
  ;; Never ends and cannot become a loop: each level needs its own after the next returns.
  (func $recurse (export "recurse") (param i32) (result i32)
    (i32.div_u (i32.load (i32.and (local.get 0) (i32.const 0xfffc)))
               (i32.or (call $recurse (i32.add (local.get 0) (i32.const 4))) (i32.const 1)))))

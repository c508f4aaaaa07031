// What the code that `peer.py` writes for a module tells the host about it.

#ifndef EGRAFT_PEER_WASM2C_GLUE_H
#define EGRAFT_PEER_WASM2C_GLUE_H

#include "wasm-rt.h"

// An exported function whose arguments and result are i32; 0 stands for no result.
struct glue_function {
  const char *name;
  uint32_t arguments;
  uint32_t (*call)(void *instance, const uint32_t *arguments);
};

struct glue_module {
  size_t instance_bytes;
  void (*instantiate)(void *instance);
  void (*free)(void *instance);
  wasm_rt_memory_t *(*memory)(void *instance);  // NULL if `memory` is not exported
  const struct glue_function *functions;        // the last has no name
};

// The symbol that every compiled module defines, of type `struct glue_module`.
#define GLUE_SYMBOL "glue_module"

#endif

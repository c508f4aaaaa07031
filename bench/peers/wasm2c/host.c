// The host library for modules that wasm2c and a C compiler made: see `host.h`.
//
// Calls are plain C calls. Out-of-bounds accesses run into guard pages and come back, as all traps do,
// through wasm2c's runtime to the jump buffer that `host_load` and `host_time` set.

#include "host.h"

#include <dlfcn.h>
#include <stdio.h>

#include "glue.h"
#include "wasm-rt-exceptions.h"
#include "wasm-rt-impl.h"

static void *library;                          // of the loaded module
static const struct glue_module *module;       // in that library
static void *instance;                         // NULL if nothing is loaded
static const struct glue_function *chosen;     // by host_find

static void unload(void) {
  if (instance) {
    module->free(instance);
    free(instance);
  }
  if (library) dlclose(library);
  library = instance = NULL;
  module = NULL;
  chosen = NULL;
}

const char *host_start(void) {
  wasm_rt_init();
  return NULL;
}

const char *host_load(const char *path) {
  unload();
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) return dlerror();
  module = dlsym(library, GLUE_SYMBOL);
  if (!module) return dlerror();
  void *fresh = calloc(1, module->instance_bytes);
  if (!fresh) return "no memory for the instance";
  wasm_rt_trap_t trap = wasm_rt_impl_try();
  if (trap != WASM_RT_TRAP_NONE) {
    // What instantiation had allocated is left to the end of the process.
    free(fresh);
    return wasm_rt_strerror(trap);
  }
  module->instantiate(fresh);
  instance = fresh;
  return NULL;
}

const char *host_find(const char *name, uint32_t arguments) {
  static char failure[256];
  chosen = NULL;
  if (!instance) return "no module is loaded";
  for (const struct glue_function *f = module->functions; f->name; f++) {
    if (strcmp(f->name, name) != 0) continue;
    if (f->arguments == arguments) {
      chosen = f;
      return NULL;
    }
    snprintf(failure, sizeof failure, "`%.100s` takes %u arguments, not %u", name, f->arguments,
             arguments);
    return failure;
  }
  snprintf(failure, sizeof failure, "the module exports no function `%.100s` of type i32", name);
  return failure;
}

const char *host_time(const uint32_t *arguments, uint32_t calls, uint64_t *ns, uint32_t *done,
                      uint32_t *result) {
  if (!chosen) return "no function is chosen";
  wasm_rt_trap_t trap = wasm_rt_impl_try();
  if (trap != WASM_RT_TRAP_NONE) return wasm_rt_strerror(trap);
  *result = 0;
  for (*done = 0; *done < calls && *result == 0; ++*done) {
    uint64_t start = host_now();
    *result = chosen->call(instance, arguments);
    ns[*done] = host_now() - start;
  }
  return NULL;
}

uint8_t *host_memory(uint64_t *bytes) {
  if (!instance || !module->memory) return NULL;
  wasm_rt_memory_t *memory = module->memory(instance);
  *bytes = memory->size;
  return memory->data;
}

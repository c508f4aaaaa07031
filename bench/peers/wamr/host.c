// The host library for modules that WAMR's compiler made: see `host.h`.
//
// WAMR's runtime alone, without its interpreter. Out-of-bounds accesses run into guard pages.

#include "host.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasm_export.h"

#define STACK_BYTES (1024 * 1024)
#define ARGUMENT_LIMIT 64
#define CONSTRUCTORS "__wasm_call_ctors"

static uint8_t *file;                 // the compiled module: WAMR refers to it
static wasm_module_t module;
static wasm_module_inst_t instance;   // NULL if nothing is loaded
static wasm_exec_env_t environment;
static wasm_function_inst_t chosen;   // by host_find
static uint32_t chosen_arguments, chosen_results;
static bool constructors_ran;         // by WAMR itself, and not yet asked for
static bool constructors_chosen;
static char failure[256];

static void unload(void) {
  if (environment) wasm_runtime_destroy_exec_env(environment);
  if (instance) wasm_runtime_deinstantiate(instance);
  if (module) wasm_runtime_unload(module);
  free(file);
  environment = NULL;
  instance = NULL;
  module = NULL;
  file = NULL;
  chosen = NULL;
}

const char *host_start(void) {
  RuntimeInitArgs init = {.mem_alloc_type = Alloc_With_System_Allocator};
  if (!wasm_runtime_full_init(&init)) return "WAMR's runtime does not start";
  wasm_runtime_set_log_level(WASM_LOG_LEVEL_ERROR);
  return NULL;
}

// The whole file in memory of its own; NULL if it cannot be read.
static uint8_t *read_file(const char *path, uint32_t *bytes) {
  FILE *in = fopen(path, "rb");
  if (!in) return NULL;
  uint8_t *all = NULL;
  long size = fseek(in, 0, SEEK_END) == 0 ? ftell(in) : -1;
  if (size > 0 && size <= INT32_MAX && fseek(in, 0, SEEK_SET) == 0) all = malloc((size_t)size);
  if (all && fread(all, 1, (size_t)size, in) != (size_t)size) {
    free(all);
    all = NULL;
  }
  fclose(in);
  *bytes = (uint32_t)size;
  return all;
}

const char *host_load(const char *path) {
  unload();
  uint32_t bytes;
  file = read_file(path, &bytes);
  if (!file) {
    snprintf(failure, sizeof failure, "%.200s cannot be read", path);
    return failure;
  }
  module = wasm_runtime_load(file, bytes, failure, sizeof failure);
  if (!module) return failure;
  // WAMR would put a function that traps in the place of one that is missing.
  if (wasm_runtime_get_import_count(module) > 0) {
    wasm_import_t import;
    wasm_runtime_get_import_type(module, 0, &import);
    snprintf(failure, sizeof failure, "the module imports `%.80s.%.80s`; it must have no imports",
             import.module_name, import.name);
    return failure;
  }
  // No heap of WAMR's own: the module has its allocator.
  instance = wasm_runtime_instantiate(module, STACK_BYTES, 0, failure, sizeof failure);
  if (!instance) return failure;
  environment = wasm_runtime_create_exec_env(instance, STACK_BYTES);
  if (!environment) return "no memory for an execution environment";
  constructors_ran = wasm_runtime_lookup_function(instance, CONSTRUCTORS) != NULL;
  return NULL;
}

// Whether all of a function's arguments and results are i32.
static bool is_integral(wasm_function_inst_t function) {
  wasm_valkind_t kinds[ARGUMENT_LIMIT];
  if (chosen_arguments > ARGUMENT_LIMIT || chosen_results > 1) return false;
  wasm_func_get_param_types(function, instance, kinds);
  for (uint32_t i = 0; i < chosen_arguments; i++) {
    if (kinds[i] != WASM_I32) return false;
  }
  wasm_func_get_result_types(function, instance, kinds);
  return chosen_results == 0 || kinds[0] == WASM_I32;
}

const char *host_find(const char *name, uint32_t arguments) {
  chosen = NULL;
  if (!environment) return "no module is loaded";
  wasm_function_inst_t function = wasm_runtime_lookup_function(instance, name);
  if (!function) {
    snprintf(failure, sizeof failure, "the module exports no function `%.100s`", name);
    return failure;
  }
  chosen_arguments = wasm_func_get_param_count(function, instance);
  chosen_results = wasm_func_get_result_count(function, instance);
  if (!is_integral(function)) {
    snprintf(failure, sizeof failure, "`%.100s` has arguments or results that are not i32", name);
    return failure;
  }
  if (chosen_arguments != arguments) {
    snprintf(failure, sizeof failure, "`%.100s` takes %u arguments, not %u", name,
             chosen_arguments, arguments);
    return failure;
  }
  chosen = function;
  constructors_chosen = strcmp(name, CONSTRUCTORS) == 0;
  return NULL;
}

const char *host_time(const uint32_t *arguments, uint32_t calls, uint64_t *ns, uint32_t *done,
                      uint32_t *result) {
  if (!chosen) return "no function is chosen";
  *result = 0;
  for (*done = 0; *done < calls && *result == 0; ++*done) {
    // Arguments in, result out.
    uint32_t values[ARGUMENT_LIMIT] = {0};
    memcpy(values, arguments, chosen_arguments * sizeof values[0]);
    // WAMR calls constructors when it instantiates; the first call for them finds them done.
    bool skipped = constructors_chosen && constructors_ran;
    if (skipped) constructors_ran = false;
    uint64_t start = host_now();
    bool returned = skipped || wasm_runtime_call_wasm(environment, chosen, chosen_arguments, values);
    ns[*done] = host_now() - start;
    if (!returned) {
      snprintf(failure, sizeof failure, "%.200s", wasm_runtime_get_exception(instance));
      wasm_runtime_clear_exception(instance);
      return failure;
    }
    if (chosen_results) *result = values[0];
  }
  return NULL;
}

uint8_t *host_memory(uint64_t *bytes) {
  if (!environment) return NULL;
  wasm_memory_inst_t memory = wasm_runtime_lookup_memory(instance, "memory");
  if (!memory) return NULL;
  *bytes = wasm_memory_get_cur_page_count(memory) * wasm_memory_get_bytes_per_page(memory);
  return wasm_memory_get_base_address(memory);
}

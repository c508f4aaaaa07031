// What a host library offers to `library.py`: one engine of compiled code, driven from one thread.
//
// A function that returns a string returns NULL if all went well, else what did not, as text that
// stays good until the next call. Invariant: a trap ends a call, never the process.

#ifndef EGRAFT_PEER_HOST_H
#define EGRAFT_PEER_HOST_H

#include <stdint.h>
#include <time.h>

#define HOST_EXPORT __attribute__((visibility("default")))

// Starts the engine. Call it once, first.
HOST_EXPORT const char *host_start(void);

// Instantiates the compiled module in a file. The instance before is gone, whatever happens.
HOST_EXPORT const char *host_load(const char *path);

// Chooses the exported function that `host_time` calls. It must take `arguments` values of type i32
// and return one or nothing.
HOST_EXPORT const char *host_find(const char *name, uint32_t arguments);

// Calls the chosen function up to `calls` times, until a result that is not 0. `ns` gets each call's
// time, `done` the number of calls that returned, `result` the last result.
HOST_EXPORT const char *host_time(const uint32_t *arguments, uint32_t calls, uint64_t *ns,
                                  uint32_t *done, uint32_t *result);

// Where linear memory is now, and its size in bytes. NULL if there is none.
HOST_EXPORT uint8_t *host_memory(uint64_t *bytes);

// Nanoseconds since some time in the past.
static inline uint64_t host_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif

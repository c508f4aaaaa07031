// The C library that Halide's own runtime needs inside a module without imports.
//
// It has memory management, the few string functions, and an error handler that keeps the
// message for the host. It has no files, no environment, no clock: those calls fail or return
// zero. Invariant: every pointer from malloc is a multiple of 16 and follows its block header.

typedef __SIZE_TYPE__ size_t;
typedef __UINT8_TYPE__ u8;
typedef __UINT64_TYPE__ u64;

#define PAGE 65536u
#define ALIGN 16u
#define MESSAGE_LIMIT 512u

// ---- memory ---------------------------------------------------------------------------------

// A block on the heap. Free blocks are linked in address order, so that neighbours merge.
typedef struct Block {
  size_t size;  // bytes, this header included; a multiple of ALIGN
  struct Block *next;
  size_t pad[2];  // keeps the payload aligned
} Block;

_Static_assert(sizeof(Block) == ALIGN, "the header must keep the payload aligned");

extern u8 __heap_base;  // defined by the linker: first byte after data and stack

static Block *free_list;
static size_t heap_end;  // first byte that the heap does not own yet; 0 before the first call

static void insert(Block *b) {
  Block *before = 0, *after = free_list;
  while (after && after < b) {
    before = after;
    after = after->next;
  }
  b->next = after;
  if (after && (u8 *)b + b->size == (u8 *)after) {
    b->size += after->size;
    b->next = after->next;
  }
  if (!before) {
    free_list = b;
  } else if ((u8 *)before + before->size == (u8 *)b) {
    before->size += b->size;
    before->next = b->next;
  } else {
    before->next = b;
  }
}

// Gives the heap at least `need` more bytes in one piece. Returns 0 if memory cannot grow.
static int extend(size_t need) {
  if (!heap_end) heap_end = ((size_t)&__heap_base + ALIGN - 1) & ~(size_t)(ALIGN - 1);
  size_t limit = __builtin_wasm_memory_size(0) * PAGE;  // 0 stands for 4 GiB
  if (limit - heap_end < need) {
    size_t pages = (need - (limit - heap_end) + PAGE - 1) / PAGE;
    if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) return 0;
    limit += pages * PAGE;
  }
  Block *b = (Block *)heap_end;
  b->size = (limit - heap_end) & ~(size_t)(ALIGN - 1);
  heap_end += b->size;
  insert(b);
  return 1;
}

void *malloc(size_t n) {
  if (n > 0x7fffff00u) return 0;
  size_t need = ((n + ALIGN - 1) & ~(size_t)(ALIGN - 1)) + sizeof(Block);
  for (int attempt = 0; attempt < 2; attempt++) {
    Block **link = &free_list;
    for (Block *b = free_list; b; link = &b->next, b = b->next) {
      if (b->size < need) continue;
      if (b->size - need >= sizeof(Block) + ALIGN) {
        Block *rest = (Block *)((u8 *)b + need);
        rest->size = b->size - need;
        rest->next = b->next;
        *link = rest;
        b->size = need;
      } else {
        *link = b->next;
      }
      return b + 1;
    }
    if (!extend(need)) return 0;
  }
  return 0;
}

void free(void *p) {
  if (p) insert((Block *)p - 1);
}

// ---- memory and string functions ------------------------------------------------------------

// Halide lowers copies between buffers to memcpy: this one is in timed code.
void *memcpy(void *restrict to, const void *restrict from, size_t n) {
  typedef u64 __attribute__((aligned(1), may_alias)) word;
  u8 *d = to;
  const u8 *s = from;
  for (; n >= 8; n -= 8, d += 8, s += 8) *(word *)d = *(const word *)s;
  for (; n; n--) *d++ = *s++;
  return to;
}

void *memmove(void *to, const void *from, size_t n) {
  u8 *d = to;
  const u8 *s = from;
  if (d <= s) {
    for (; n; n--) *d++ = *s++;
  } else {
    while (n--) d[n] = s[n];
  }
  return to;
}

void *memset(void *to, int byte, size_t n) {
  u8 *d = to;
  for (; n; n--) *d++ = (u8)byte;
  return to;
}

int memcmp(const void *a, const void *b, size_t n) {
  const u8 *x = a, *y = b;
  for (; n; n--, x++, y++) {
    if (*x != *y) return *x - *y;
  }
  return 0;
}

size_t strlen(const char *s) {
  size_t n = 0;
  while (s[n]) n++;
  return n;
}

int strncmp(const char *a, const char *b, size_t n) {
  for (; n && *a && *a == *b; n--) a++, b++;
  return n ? (u8)*a - (u8)*b : 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, (size_t)-1); }

char *strstr(const char *text, const char *word) {
  size_t n = strlen(word);
  for (;; text++) {
    if (strncmp(text, word, n) == 0) return (char *)text;
    if (!*text) return 0;
  }
}

char *strncpy(char *to, const char *from, size_t n) {
  size_t i = 0;
  for (; i < n && from[i]; i++) to[i] = from[i];
  for (; i < n; i++) to[i] = 0;
  return to;
}

int atoi(const char *s) {
  int sign = 1, value = 0;
  if (*s == '-') sign = -1, s++;
  for (; *s >= '0' && *s <= '9'; s++) value = value * 10 + (*s - '0');
  return sign * value;
}

// ---- the outside world, which is not there --------------------------------------------------

void abort(void) { __builtin_trap(); }
int __cxa_atexit(void (*f)(void *), void *arg, void *dso) { return 0; }
char *getenv(const char *name) { return 0; }
void *fopen(const char *path, const char *mode) { return 0; }
int fclose(void *file) { return -1; }
int fileno(void *file) { return -1; }
size_t fwrite(const void *from, size_t size, size_t count, void *file) { return 0; }
long write(int file, const void *from, size_t n) { return (long)n; }
int gettimeofday(void *time, void *zone) { return -1; }

// ---- errors ---------------------------------------------------------------------------------

static char message[MESSAGE_LIMIT];

// Overrides Halide's weak default, which aborts: the kernel then returns its error code and the
// host reads why.
void halide_error(void *user_context, const char *text) {
  size_t n = strlen(text);
  if (n >= MESSAGE_LIMIT) n = MESSAGE_LIMIT - 1;
  memcpy(message, text, n);
  message[n] = 0;
}

// The last error as a C string, empty if there was none.
__attribute__((export_name("last_message"))) const char *last_message(void) { return message; }

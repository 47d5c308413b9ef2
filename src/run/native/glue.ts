/**
 * The binding between Node and compiled programs, as C text: opening objects, memory, views of it, and calls.
 *
 * It declares the few Node-API functions it uses by itself, so that no headers of Node are needed; Node resolves them
 * when it loads the object. Addresses are plain numbers: those of user space fit in 53 bits. Every argument is checked
 * here, because a wrong one would end the process instead of throwing.
 */
export const GLUE = String.raw`
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct dh_env_ *napi_env;
typedef struct dh_value_ *napi_value;
typedef struct dh_info_ *napi_callback_info;
typedef struct dh_deferred_ *napi_deferred;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
extern int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
extern int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
extern int napi_set_named_property(napi_env, napi_value, const char *, napi_value);
extern int napi_get_value_double(napi_env, napi_value, double *);
extern int napi_create_double(napi_env, double, napi_value *);
extern int napi_get_value_string_utf8(napi_env, napi_value, char *, size_t, size_t *);
extern int napi_create_string_utf8(napi_env, const char *, size_t, napi_value *);
extern int napi_get_typedarray_info(napi_env, napi_value, int *, size_t *, void **, napi_value *, size_t *);
extern int napi_create_external_arraybuffer(napi_env, void *, size_t, void *, void *, napi_value *);
extern int napi_detach_arraybuffer(napi_env, napi_value);
extern int napi_is_exception_pending(napi_env, _Bool *);
extern int napi_throw_error(napi_env, const char *, const char *);
extern int napi_get_undefined(napi_env, napi_value *);
extern int napi_create_promise(napi_env, napi_deferred *, napi_value *);
extern int napi_resolve_deferred(napi_env, napi_deferred, napi_value);
extern int napi_create_async_work(napi_env, napi_value, napi_value, void (*)(napi_env, void *),
  void (*)(napi_env, int, void *), void *, void **);
extern int napi_queue_async_work(napi_env, void *);
extern int napi_delete_async_work(napi_env, void *);
extern int napi_add_env_cleanup_hook(napi_env, void (*)(void *), void *);

// The one signature of every printed entry point: void f(void **buffers, const double *scalars, void *run)
typedef void (*dh_entry)(uintptr_t, uintptr_t, uintptr_t);

static napi_value dh_throw(napi_env env, const char *code, const char *message) {
  _Bool pending = 0;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, code, message);
  return 0;
}
#define FAIL(message) return dh_throw(env, "DOWNHILL_ARGUMENT", message)
#define ARGUMENTS(n, usage) \
  size_t argc = n; napi_value argv[n]; \
  if (napi_get_cb_info(env, info, &argc, argv, 0, 0) || argc < n) FAIL("usage: " usage)

// A whole number in [0, 2^53): an address, a size or a count. Not NaN, not negative, not a fraction, no other type.
static int dh_whole(napi_env env, napi_value value, uintptr_t *out) {
  double d;
  if (napi_get_value_double(env, value, &d) || !(d >= 0 && d < 9007199254740992.0)) return 0;
  if (d != (double)(uintptr_t)d) return 0;
  *out = (uintptr_t)d;
  return 1;
}
static int dh_positive(napi_env env, napi_value value, uintptr_t *out) { return dh_whole(env, value, out) && *out > 0; }

static napi_value dh_number(napi_env env, uintptr_t n) {
  napi_value result = 0;
  napi_create_double(env, (double)n, &result);
  return result;
}

// ---- memory: every block of this process, so that a stale or foreign address is refused instead of followed ----

// DH_PAGE is a multiple of every page size there is; what is never touched costs nothing. Before and behind a block lies one
// that belongs to it: where all but some lanes of a load are masked by constants, gcc 12 reads the whole vector.
enum { DH_PAGE = 65536, DH_HUGE = 2 << 20 };
struct dh_block { char *at; size_t bytes, mapped; napi_env owner; struct dh_block *next; };
static struct dh_block *dh_blocks;
static pthread_mutex_t dh_blocks_lock = PTHREAD_MUTEX_INITIALIZER;

static void dh_unmap(struct dh_block *block) { munmap(block->at - DH_PAGE, block->mapped + 2 * DH_PAGE); }

static napi_value dh_alloc(napi_env env, napi_callback_info info) {
  ARGUMENTS(1, "alloc(bytes)");
  uintptr_t bytes;
  if (!dh_positive(env, argv[0], &bytes)) FAIL("alloc: the size must be a positive whole number of bytes");
  size_t mapped = (bytes + DH_PAGE - 1) & ~(size_t)(DH_PAGE - 1), pad = mapped >= DH_HUGE ? DH_HUGE : 0;
  size_t all = mapped + 2 * DH_PAGE + pad;
  struct dh_block *block = malloc(sizeof *block);
  // No MAP_NORESERVE: what the machine can never hold is refused here, where it can be said, instead of killed later.
  char *from = block ? mmap(0, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
  if (from == MAP_FAILED) {
    free(block);
    return dh_throw(env, "DOWNHILL_MEMORY", "out of memory");
  }
  char *p = from + DH_PAGE;
  if (pad) {
    p = (char *)(((uintptr_t)p + DH_HUGE - 1) & ~(uintptr_t)(DH_HUGE - 1));
    char *begin = p - DH_PAGE, *end = p + mapped + DH_PAGE;
    if (begin > from) munmap(from, begin - from);
    if (end < from + all) munmap(end, from + all - end);
#ifdef MADV_HUGEPAGE
    madvise(p, mapped, MADV_HUGEPAGE);
#endif
  }
  pthread_mutex_lock(&dh_blocks_lock);
  *block = (struct dh_block){ p, bytes, mapped, env, dh_blocks };
  dh_blocks = block;
  pthread_mutex_unlock(&dh_blocks_lock);
  return dh_number(env, (uintptr_t)p);
}

static napi_value dh_free(napi_env env, napi_callback_info info) {
  ARGUMENTS(1, "free(address)");
  uintptr_t at;
  if (!dh_positive(env, argv[0], &at)) FAIL("free: not an address");
  pthread_mutex_lock(&dh_blocks_lock);
  struct dh_block **link = &dh_blocks, *block;
  while ((block = *link) && (uintptr_t)block->at != at) link = &block->next;
  if (block) *link = block->next;
  pthread_mutex_unlock(&dh_blocks_lock);
  if (!block) FAIL("free: no block begins at this address");
  dh_unmap(block);
  free(block);
  return 0;
}

// A thread's blocks go when the thread goes.
static void dh_env_ends(void *env) {
  pthread_mutex_lock(&dh_blocks_lock);
  for (struct dh_block **link = &dh_blocks, *block; (block = *link);) {
    if (block->owner != (napi_env)env) { link = &block->next; continue; }
    *link = block->next;
    dh_unmap(block);
    free(block);
  }
  pthread_mutex_unlock(&dh_blocks_lock);
}
static napi_value dh_free_at_exit(napi_env env, napi_callback_info info) {
  (void)info;
  napi_add_env_cleanup_hook(env, dh_env_ends, env);
  return 0;
}

// Whether so many bytes from an address on lie inside one block.
static int dh_inside(uintptr_t at, size_t bytes) {
  pthread_mutex_lock(&dh_blocks_lock);
  struct dh_block *block = dh_blocks;
  while (block && !(at >= (uintptr_t)block->at && at - (uintptr_t)block->at <= block->bytes
    && bytes <= block->bytes - (at - (uintptr_t)block->at))) block = block->next;
  pthread_mutex_unlock(&dh_blocks_lock);
  return block != 0;
}

static napi_value dh_view(napi_env env, napi_callback_info info) {
  ARGUMENTS(2, "view(address, bytes)");
  uintptr_t at, bytes;
  if (!dh_positive(env, argv[0], &at) || !dh_whole(env, argv[1], &bytes)) FAIL("view: not an address and a size");
  if (!dh_inside(at, bytes)) FAIL("view: the range is not inside one allocated block");
  napi_value buffer;
  int status = napi_create_external_arraybuffer(env, (void *)at, bytes, 0, 0, &buffer);
  if (status == 22) FAIL("view: this build of Node does not allow memory of its own outside of JavaScript");
  if (status) FAIL("view: Node refused the view");
  return buffer;
}

// Pages of a range that the system has given memory for.
static napi_value dh_resident(napi_env env, napi_callback_info info) {
  ARGUMENTS(2, "resident(address, bytes)");
  uintptr_t at, bytes;
  if (!dh_positive(env, argv[0], &at) || !dh_whole(env, argv[1], &bytes)) FAIL("resident: not an address and a size");
  const uintptr_t page = sysconf(_SC_PAGESIZE);
  uintptr_t found = 0;
#ifdef __APPLE__
  char there[1024];
#else
  unsigned char there[1024];
#endif
  for (uintptr_t from = at & ~(page - 1), end = at + bytes; from < end; from += sizeof there * page) {
    const uintptr_t pages = (end - from + page - 1) / page, n = pages < sizeof there ? pages : sizeof there;
    if (mincore((void *)from, n * page, there)) FAIL("resident: the range is not mapped");
    for (uintptr_t k = 0; k < n; k++) found += there[k] & 1;
  }
  return dh_number(env, found * page);
}

static napi_value dh_write(napi_env env, napi_callback_info info) {
  ARGUMENTS(2, "write(address, typedArray)");
  static const unsigned char sizes[] = { 1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8 };   // of enum napi_typedarray_type
  uintptr_t at;
  void *p = 0;
  size_t length;
  int kind;
  if (!dh_positive(env, argv[0], &at)) FAIL("write: not an address");
  if (napi_get_typedarray_info(env, argv[1], &kind, &length, &p, 0, 0) || (unsigned)kind >= sizeof sizes)
    FAIL("write: not a typed array of a known kind");
  const size_t bytes = length * sizes[kind];
  if (!dh_inside(at, bytes)) FAIL("write: the range is not inside one allocated block");
  if (bytes) memmove((void *)at, p, bytes);
  return 0;
}

static napi_value dh_detach(napi_env env, napi_callback_info info) {
  ARGUMENTS(1, "detach(arrayBuffer)");
  if (napi_detach_arraybuffer(env, argv[0])) FAIL("detach: not an ArrayBuffer that can be detached");
  return 0;
}

static napi_value dh_addr(napi_env env, napi_callback_info info) {
  ARGUMENTS(1, "addr(typedArray)");
  void *p = 0;
  size_t length;
  if (napi_get_typedarray_info(env, argv[0], 0, &length, &p, 0, 0)) FAIL("addr: not a typed array");
  if (!p) FAIL("addr: the array is empty or detached");
  return dh_number(env, (uintptr_t)p);
}

// How many elements at the front are indices below n, as far as this kind of array is known. JavaScript, when it begins,
// takes 5 ms for 100,000.
#define DH_INDICES(type) for (const type *x = p; k < length && x[k] >= 0 && x[k] < n; k++); break
static napi_value dh_indices(napi_env env, napi_callback_info info) {
  ARGUMENTS(2, "indices(typedArray, n)");
  void *p = 0;
  size_t length, k = 0;
  int kind;
  double n;
  if (napi_get_typedarray_info(env, argv[0], &kind, &length, &p, 0, 0)) FAIL("indices: not a typed array");
  if (napi_get_value_double(env, argv[1], &n)) FAIL("indices: not a number");
  switch (kind) {   // of enum napi_typedarray_type
    case 1: DH_INDICES(uint8_t);
    case 5: DH_INDICES(int32_t);
    case 6: DH_INDICES(uint32_t);
    case 7: DH_INDICES(float);
    case 8: DH_INDICES(double);
  }
  return dh_number(env, k);
}

// ---- objects and calls ----

static napi_value dh_open(napi_env env, napi_callback_info info) {
  ARGUMENTS(2, "open(path, global)");
  char path[4096];
  size_t length;
  uintptr_t global;
  if (napi_get_value_string_utf8(env, argv[0], path, sizeof path, &length) || length == 0 || length + 1 >= sizeof path)
    FAIL("open: not a path");
  if (!dh_whole(env, argv[1], &global)) FAIL("open: global must be 0 or 1");
  // RTLD_NODELETE: nothing is ever closed, for threads may still run its code while the process ends.
  void *handle = dlopen(path, RTLD_NOW | RTLD_NODELETE | (global ? RTLD_GLOBAL : RTLD_LOCAL));
  if (!handle) return dh_throw(env, "DOWNHILL_OPEN", dlerror());
  return dh_number(env, (uintptr_t)handle);
}

static napi_value dh_sym(napi_env env, napi_callback_info info) {
  ARGUMENTS(2, "sym(handle, name)");
  char name[512];
  size_t length;
  uintptr_t handle;
  if (!dh_positive(env, argv[0], &handle)) FAIL("sym: not a handle");
  if (napi_get_value_string_utf8(env, argv[1], name, sizeof name, &length) || length == 0 || length + 1 >= sizeof name)
    FAIL("sym: not a name");
  void *symbol = dlsym((void *)handle, name);
  if (!symbol) return dh_throw(env, "DOWNHILL_SYMBOL", dlerror());
  return dh_number(env, (uintptr_t)symbol);
}

struct dh_job { uintptr_t f, x, y, z; void *work; napi_deferred deferred; };

// Zero is allowed for x, y and z: not every program has scalars or threads.
static int dh_read_call(napi_env env, napi_value *argv, struct dh_job *job) {
  return dh_positive(env, argv[0], &job->f) && dh_whole(env, argv[1], &job->x) && dh_whole(env, argv[2], &job->y)
    && dh_whole(env, argv[3], &job->z);
}
static const char dh_call_usage[] =
  "call: the function must be an address, the three arguments addresses or whole numbers";

static napi_value dh_call(napi_env env, napi_callback_info info) {
  ARGUMENTS(4, "call(function, x, y, z)");
  struct dh_job job;
  if (!dh_read_call(env, argv, &job)) FAIL(dh_call_usage);
  ((dh_entry)job.f)(job.x, job.y, job.z);
  return 0;
}

// One program at a time off the main thread.
static pthread_mutex_t dh_running = PTHREAD_MUTEX_INITIALIZER;
static void dh_job_run(napi_env env, void *data) {
  struct dh_job *job = data;
  (void)env;
  pthread_mutex_lock(&dh_running);
  ((dh_entry)job->f)(job->x, job->y, job->z);
  pthread_mutex_unlock(&dh_running);
}
static void dh_job_done(napi_env env, int status, void *data) {
  struct dh_job *job = data;
  napi_value undefined;
  (void)status;
  if (!napi_get_undefined(env, &undefined)) napi_resolve_deferred(env, job->deferred, undefined);
  napi_delete_async_work(env, job->work);
  free(job);
}
static napi_value dh_call_async(napi_env env, napi_callback_info info) {
  ARGUMENTS(4, "callAsync(function, x, y, z)");
  struct dh_job *job = calloc(1, sizeof *job);
  if (!job) return dh_throw(env, "DOWNHILL_MEMORY", "out of memory");
  napi_value promise, name;
  if (!dh_read_call(env, argv, job)) {
    free(job);
    FAIL(dh_call_usage);
  }
  if (napi_create_string_utf8(env, "downhill", 8, &name)
    || napi_create_async_work(env, 0, name, dh_job_run, dh_job_done, job, &job->work)) {
    free(job);
    FAIL("callAsync: Node refused the work");
  }
  if (napi_create_promise(env, &job->deferred, &promise) || napi_queue_async_work(env, job->work)) {
    napi_delete_async_work(env, job->work);
    free(job);
    FAIL("callAsync: Node refused the work");
  }
  return promise;
}

// Node calls this once per thread that loads the binding, which is all that worker threads need.
__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  static const struct { const char *name; napi_callback function; } table[] = {
    { "alloc", dh_alloc }, { "free", dh_free }, { "freeAtExit", dh_free_at_exit }, { "view", dh_view },
    { "resident", dh_resident }, { "write", dh_write }, { "detach", dh_detach }, { "addr", dh_addr },
    { "indices", dh_indices },
    { "open", dh_open }, { "sym", dh_sym },
    { "call", dh_call }, { "callAsync", dh_call_async },
  };
  for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
    napi_value function;
    if (napi_create_function(env, table[i].name, (size_t)-1, table[i].function, 0, &function)
      || napi_set_named_property(env, exports, table[i].name, function)) FAIL("the binding could not be set up");
  }
  return exports;
}
`;

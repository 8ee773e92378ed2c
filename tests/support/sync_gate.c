/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a broker, counts what its journal asks of the disk, and holds it on request: so that a test sees which
 * promise waits for a write and which for a sync. Acts only in the process weir-broker, there only for the threads that
 * write and sync the journal (another prepares spare segments), and only on segment files; all else goes through
 * untouched.
 *
 * WEIR_SYNC_GATE names a file of at least sizeof(struct gate), shared with the test, which fills in the first three.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* One kind of call. Those before `started` - 1 have ended, since no two are made at once. */
struct calls {
  _Atomic uint64_t started;
  _Atomic uint64_t held; /* 1 while one waits at the gate, with nothing done yet */
  _Atomic uint64_t ended;
};

struct gate {
  _Atomic uint64_t syncs_closed;  /* not 0: a sync waits before it is made */
  _Atomic uint64_t writes_closed; /* likewise */
  _Atomic uint64_t sync_us;       /* a sync takes at least so long, as on a slow disk */
  struct calls syncs;
  struct calls writes;
  _Atomic uint64_t forgotten; /* calls that a gate held for so long that they were let through */
};

enum { kHeldSecondsMax = 60 };

static struct gate* gate; /* null: not the broker, or not asked to */

static void give_up(const char* what) {
  fprintf(stderr, "sync_gate: %s: %s\n", what, strerror(errno));
  _exit(127);
}

__attribute__((constructor)) static void attach(void) {
  const char* path = getenv("WEIR_SYNC_GATE");
  char name[32] = "";
  FILE* comm = fopen("/proc/self/comm", "re");
  if (comm != NULL) {
    if (fgets(name, sizeof name, comm) == NULL) name[0] = '\0';
    fclose(comm);
  }
  if (path == NULL || strcmp(name, "weir-broker\n") != 0) return;
  const int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) give_up(path);
  void* shared = mmap(NULL, sizeof(struct gate), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (shared == MAP_FAILED) give_up(path);
  close(file);
  gate = shared;
}

static int watched(int file) {
  if (gate == NULL) return 0;
  char thread[16] = "";
  if (prctl(PR_GET_NAME, thread) != 0 || (strcmp(thread, "writer") != 0 && strcmp(thread, "syncer") != 0)) return 0;
  char link[32];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return 0;
  path[size] = '\0';
  const char* slash = strrchr(path, '/');
  return slash != NULL && strncmp(slash + 1, "segment", 7) == 0;
}

static void pause_us(uint64_t us) {
  struct timespec left = {(time_t)(us / 1000000), (long)(us % 1000000 * 1000)};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

static void enter(struct calls* calls, const _Atomic uint64_t* closed) {
  calls->started++;
  if (*closed == 0) return;
  calls->held = 1;
  uint64_t waited_us = 0;
  for (; *closed != 0 && waited_us < kHeldSecondsMax * UINT64_C(1000000); waited_us += 500) pause_us(500);
  if (*closed != 0) gate->forgotten++;
  calls->held = 0;
}

/* The next library's function of the name, in a variable of its own. */
#define NEXT(function)               \
  static __typeof__(&function) next; \
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, #function)

#define AS_SYNC(call)                       \
  if (!watched(file)) return call;          \
  enter(&gate->syncs, &gate->syncs_closed); \
  pause_us(gate->sync_us);                  \
  const int answer = call;                  \
  gate->syncs.ended++;                      \
  return answer

#define AS_WRITE(call)                        \
  if (!watched(file)) return call;            \
  enter(&gate->writes, &gate->writes_closed); \
  const ssize_t answer = call;                \
  gate->writes.ended++;                       \
  return answer

int fdatasync(int file) {
  NEXT(fdatasync);
  AS_SYNC(next(file));
}

int fsync(int file) {
  NEXT(fsync);
  AS_SYNC(next(file));
}

ssize_t pwritev(int file, const struct iovec* parts, int count, off_t offset) {
  NEXT(pwritev);
  AS_WRITE(next(file, parts, count, offset));
}

ssize_t pwritev64(int file, const struct iovec* parts, int count, off64_t offset) {
  NEXT(pwritev64);
  AS_WRITE(next(file, parts, count, offset));
}

ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  NEXT(pwrite);
  AS_WRITE(next(file, bytes, size, offset));
}

ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  NEXT(pwrite64);
  AS_WRITE(next(file, bytes, size, offset));
}

ssize_t write(int file, const void* bytes, size_t size) {
  NEXT(write);
  AS_WRITE(next(file, bytes, size));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a topology's processes, writes down what a power cut would take back: before each write to a regular
 * file under WEIR_POWER_CUT_ROOT what stood there, and after each sync that it was one. The log, WEIR_POWER_CUT_LOG, is
 * shared by all processes and outlives them; tests/chaos/power_cut.py takes back what no sync has covered.
 *
 * An entry: one byte (W a write or a cut, S a sync, D the file is gone), u64 inode, u64 offset, u64 size of the file
 * before, u64 n, then n bytes that stood at offset.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#pragma pack(push, 1)
struct entry {
  char kind;
  uint64_t inode;
  uint64_t offset;
  uint64_t size_before;
  uint64_t bytes;
};
#pragma pack(pop)

static const char* root; /* null: this process is not watched */
static int log_file = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* one file's entries stand in the order of what they tell */

static void give_up(const char* what) {
  fprintf(stderr, "power_cut: %s: %s\n", what, strerror(errno));
  _exit(127);
}

__attribute__((constructor)) static void attach(void) {
  const char* path = getenv("WEIR_POWER_CUT_LOG");
  if (path == NULL || getenv("WEIR_POWER_CUT_ROOT") == NULL) return;
  log_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_file < 0) give_up(path);
  root = getenv("WEIR_POWER_CUT_ROOT");
}

/* The next library's function of the name, in a variable of its own. */
#define NEXT(function)               \
  static __typeof__(&function) next; \
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, #function)

static ssize_t (*next_writev(void))(int, const struct iovec*, int) {
  NEXT(writev);
  return next;
}

static void put(struct entry entry, const void* bytes) {
  const struct iovec parts[2] = {{&entry, sizeof entry}, {(void*)bytes, entry.bytes}};
  const ssize_t all = (ssize_t)(sizeof entry + entry.bytes);
  if (next_writev()(log_file, parts, entry.bytes == 0 ? 1 : 2) != all) give_up("the log cannot be written");
}

/* A regular file under the root; fills in what it is. */
static int watched(int file, struct stat* facts) {
  if (root == NULL || fstat(file, facts) != 0 || !S_ISREG(facts->st_mode)) return 0;
  char link[32];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return 0;
  path[size] = '\0';
  return strncmp(path, root, strlen(root)) == 0;
}

/* Writes down what stands at [offset, offset + bytes) of the file, as far as it goes. */
static void keep(int file, const struct stat* facts, uint64_t offset, uint64_t bytes) {
  struct entry entry = {'W', facts->st_ino, offset, (uint64_t)facts->st_size, 0};
  void* before = NULL;
  if (offset < entry.size_before) {
    entry.bytes = entry.size_before - offset < bytes ? entry.size_before - offset : bytes;
    before = malloc(entry.bytes);
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const int reader = open(link, O_RDONLY | O_CLOEXEC); /* the file may be open for writing only */
    if (before == NULL || reader < 0 || pread(reader, before, entry.bytes, (off_t)offset) != (ssize_t)entry.bytes)
      give_up("what a file holds cannot be read");
    close(reader);
  }
  put(entry, before);
  free(before);
}

static uint64_t length(const struct iovec* parts, int count) {
  uint64_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += parts[i].iov_len;
  return bytes;
}

#define AS_WRITE(offset, bytes, call)              \
  struct stat facts;                               \
  if (!watched(file, &facts)) return call;         \
  pthread_mutex_lock(&mutex);                      \
  keep(file, &facts, (uint64_t)(offset), (bytes)); \
  const __typeof__(call) answer = call;            \
  pthread_mutex_unlock(&mutex);                    \
  return answer

#define AS_SYNC(call)                                                                        \
  struct stat facts;                                                                         \
  if (!watched(file, &facts)) return call;                                                   \
  pthread_mutex_lock(&mutex); /* no write comes between it and what is written down of it */ \
  const int answer = call;                                                                   \
  if (answer == 0) put((struct entry){'S', facts.st_ino, 0, 0, 0}, NULL);                    \
  pthread_mutex_unlock(&mutex);                                                              \
  return answer

#define AS_REMOVAL(folder, name, call)                                                       \
  struct stat facts;                                                                         \
  const int known = root != NULL && fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) == 0; \
  const int answer = call;                                                                   \
  if (known && answer == 0) put((struct entry){'D', facts.st_ino, 0, 0, 0}, NULL);           \
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
  AS_WRITE(offset, length(parts, count), next(file, parts, count, offset));
}

ssize_t pwritev64(int file, const struct iovec* parts, int count, off64_t offset) {
  NEXT(pwritev64);
  AS_WRITE(offset, length(parts, count), next(file, parts, count, offset));
}

ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  NEXT(pwrite);
  AS_WRITE(offset, size, next(file, bytes, size, offset));
}

ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  NEXT(pwrite64);
  AS_WRITE(offset, size, next(file, bytes, size, offset));
}

ssize_t write(int file, const void* bytes, size_t size) {
  NEXT(write);
  AS_WRITE(lseek(file, 0, SEEK_CUR), size, next(file, bytes, size));
}

ssize_t writev(int file, const struct iovec* parts, int count) {
  NEXT(writev);
  AS_WRITE(lseek(file, 0, SEEK_CUR), length(parts, count), next(file, parts, count));
}

int ftruncate(int file, off_t size) {
  NEXT(ftruncate);
  AS_WRITE(size, UINT64_MAX, next(file, size));
}

int ftruncate64(int file, off64_t size) {
  NEXT(ftruncate64);
  AS_WRITE(size, UINT64_MAX, next(file, size));
}

int unlink(const char* name) {
  NEXT(unlink);
  AS_REMOVAL(AT_FDCWD, name, next(name));
}

int unlinkat(int folder, const char* name, int flags) {
  NEXT(unlinkat);
  AS_REMOVAL(folder, name, next(folder, name, flags));
}

int remove(const char* name) {
  NEXT(remove);
  AS_REMOVAL(AT_FDCWD, name, next(name));
}

int rename(const char* from, const char* to) {
  NEXT(rename);
  AS_REMOVAL(AT_FDCWD, to, next(from, to));
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  NEXT(renameat);
  AS_REMOVAL(to_folder, to, next(from_folder, from, to_folder, to));
}

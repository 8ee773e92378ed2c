/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a topology's processes, writes down what a power cut would take back: before each write to a regular
 * file under WEIR_POWER_CUT_ROOT what stood there, before each change of a folder what it is, and after each sync that
 * it was one. The log, WEIR_POWER_CUT_LOG, is shared by all processes and outlives them; tests/chaos/power_cut.py takes
 * back what no sync has covered. A file whose last name goes is kept under another beside the log, in LOG.gone, until
 * then. With WEIR_POWER_CUT_DEAF no sync of a folder is heard, as if none were ever asked for; with WEIR_POWER_CUT_SLOW
 * each removal takes so many milliseconds, so that many ends come in between.
 *
 * An entry: one byte, u64 inode, u64 offset, u64 size of the file before, u64 n, then n bytes.
 *   W  a write or a cut of a file: what stood at offset        S  a sync of a file
 *   C  a name that is made: its path                           M  a folder that is made: its path
 *   U  a name that goes: its path; offset is its name in LOG.gone    X  a folder that goes: its path
 *   R  a name that changes: both paths with a NUL between; offset as for U, of what had the new name, or 0
 *   Y  a sync of a folder: its path
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
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

enum { PATH_MAX_HERE = 4096 };

static const char* root; /* null: this process is not watched */
static int deaf;         /* to syncs of folders */
static int slow_ms;      /* with removals */
static char gone[PATH_MAX_HERE - 64];
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
  snprintf(gone, sizeof gone, "%s.gone", path);
  deaf = getenv("WEIR_POWER_CUT_DEAF") != NULL;
  if (getenv("WEIR_POWER_CUT_SLOW") != NULL) slow_ms = atoi(getenv("WEIR_POWER_CUT_SLOW"));
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

static int under_root(const char* path) {
  const size_t size = strlen(root);
  return strncmp(path, root, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

/* The path of an open file or folder; false where it has none. */
static int path_of(int file, char* path) {
  char link[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t size = readlink(link, path, PATH_MAX_HERE - 1);
  if (size <= 0) return 0;
  path[size] = '\0';
  return 1;
}

/* A regular file under the root, or a folder; fills in what it is. */
static int watched(int file, struct stat* facts) {
  char path[PATH_MAX_HERE];
  if (root == NULL || fstat(file, facts) != 0 || !(S_ISREG(facts->st_mode) || S_ISDIR(facts->st_mode))) return 0;
  return path_of(file, path) && under_root(path);
}

/* The path of a name that is there or is to be, without links in its folder; false where it is not under the root. */
static int place_of(int folder, const char* name, char* path) {
  char whole[PATH_MAX_HERE];
  if (root == NULL) return 0;
  if (name[0] == '/') {
    snprintf(whole, sizeof whole, "%s", name);
  } else {
    char at[PATH_MAX_HERE / 2];
    if (folder == AT_FDCWD) {
      if (getcwd(at, sizeof at) == NULL) return 0;
    } else {
      char of[PATH_MAX_HERE];
      if (!path_of(folder, of) || strlen(of) >= sizeof at) return 0;
      strcpy(at, of);
    }
    if (strlen(at) + strlen(name) + 2 > sizeof whole) return 0;
    snprintf(whole, sizeof whole, "%s/%.2000s", at, name);
  }
  for (size_t size = strlen(whole); size > 1 && whole[size - 1] == '/'; --size) whole[size - 1] = '\0';
  char* slash = strrchr(whole, '/');
  if (slash == NULL || slash == whole) return 0;
  *slash = '\0';
  char above[PATH_MAX_HERE];
  if (realpath(whole, above) == NULL || strlen(above) + strlen(slash + 1) + 2 > PATH_MAX_HERE) return 0;
  strcpy(path, above);
  strcat(path, "/");
  strcat(path, slash + 1);
  return under_root(path);
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

#define AS_SYNC(call)                                                                               \
  struct stat facts;                                                                                \
  if (!watched(file, &facts)) return call;                                                          \
  pthread_mutex_lock(&mutex); /* no write comes between it and what is written down of it */        \
  const int answer = call;                                                                          \
  if (answer == 0 && S_ISREG(facts.st_mode)) put((struct entry){'S', facts.st_ino, 0, 0, 0}, NULL); \
  if (answer == 0 && S_ISDIR(facts.st_mode) && !deaf) {                                             \
    char path[PATH_MAX_HERE];                                                                       \
    if (path_of(file, path)) put_change('Y', 0, path, strlen(path));                                \
  }                                                                                                 \
  pthread_mutex_unlock(&mutex);                                                                     \
  return answer

/* Keeps what the path names under another name; 0 where that is nothing, or no file. */
static uint64_t keep_gone(const char* path) {
  static uint64_t number; /* under the mutex; with the process it is told from those of others */
  struct stat facts;
  if (lstat(path, &facts) != 0 || !S_ISREG(facts.st_mode)) return 0;
  const uint64_t name = ((uint64_t)getpid() << 32) | ++number;
  char kept[PATH_MAX_HERE];
  snprintf(kept, sizeof kept, "%s/%llu", gone, (unsigned long long)name);
  if (link(path, kept) != 0) give_up("a file that goes cannot be kept");
  return name;
}

static void put_change(char kind, uint64_t kept, const char* path, size_t bytes) {
  put((struct entry){kind, 0, kept, 0, bytes}, path);
}

/* A file that is there is about to be emptied by its path. */
static void keep_emptied(int folder, const char* name) {
  struct stat facts;
  const int file = openat(folder, name, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  if (watched(file, &facts) && S_ISREG(facts.st_mode)) keep(file, &facts, 0, UINT64_MAX);
  close(file);
}

/* A call that may make a name, or empty what has it. */
#define AS_CREATION(kind, folder, name, makes, empties, call)                                        \
  char path[PATH_MAX_HERE];                                                                          \
  const int there = faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;                         \
  if (root == NULL || (there ? !(empties) : !(makes)) || !place_of(folder, name, path)) return call; \
  pthread_mutex_lock(&mutex);                                                                        \
  if (there)                                                                                         \
    keep_emptied(folder, name);                                                                      \
  else                                                                                               \
    put_change(kind, 0, path, strlen(path));                                                         \
  const __typeof__(call) answer = call;                                                              \
  pthread_mutex_unlock(&mutex);                                                                      \
  return answer

/* A call after which a name is gone. */
#define AS_REMOVAL(is_folder, folder, name, call)                                              \
  char path[PATH_MAX_HERE];                                                                    \
  if (!place_of(folder, name, path)) return call;                                              \
  if (slow_ms != 0) usleep((useconds_t)slow_ms * 1000);                                        \
  pthread_mutex_lock(&mutex);                                                                  \
  const uint64_t kept = (is_folder) ? 0 : keep_gone(path);                                     \
  if ((is_folder) || kept != 0) put_change((is_folder) ? 'X' : 'U', kept, path, strlen(path)); \
  const int answer = call;                                                                     \
  pthread_mutex_unlock(&mutex);                                                                \
  return answer

#define AS_RENAMING(from_folder, from, to_folder, to, call)                               \
  char paths[2 * PATH_MAX_HERE];                                                          \
  char path[PATH_MAX_HERE];                                                               \
  if (!place_of(from_folder, from, paths) || !place_of(to_folder, to, path)) return call; \
  const size_t size = strlen(paths) + 1;                                                  \
  strcpy(paths + size, path);                                                             \
  pthread_mutex_lock(&mutex);                                                             \
  put_change('R', keep_gone(path), paths, size + strlen(path));                           \
  const int answer = call;                                                                \
  pthread_mutex_unlock(&mutex);                                                           \
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
  AS_REMOVAL(0, AT_FDCWD, name, next(name));
}

int rmdir(const char* name) {
  NEXT(rmdir);
  AS_REMOVAL(1, AT_FDCWD, name, next(name));
}

int unlinkat(int folder, const char* name, int flags) {
  NEXT(unlinkat);
  AS_REMOVAL((flags & AT_REMOVEDIR) != 0, folder, name, next(folder, name, flags));
}

int remove(const char* name) {
  struct stat facts;
  return lstat(name, &facts) == 0 && S_ISDIR(facts.st_mode) ? rmdir(name) : unlink(name);
}

int rename(const char* from, const char* to) {
  NEXT(rename);
  AS_RENAMING(AT_FDCWD, from, AT_FDCWD, to, next(from, to));
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  NEXT(renameat);
  AS_RENAMING(from_folder, from, to_folder, to, next(from_folder, from, to_folder, to));
}

int mkdir(const char* name, mode_t mode) {
  NEXT(mkdir);
  AS_CREATION('M', AT_FDCWD, name, 1, 0, next(name, mode));
}

int mkdirat(int folder, const char* name, mode_t mode) {
  NEXT(mkdirat);
  AS_CREATION('M', folder, name, 1, 0, next(folder, name, mode));
}

/* What a caller gave behind the flags; nothing of it counts where nothing is made. */
#define MODE(flags)                                                 \
  mode_t mode = 0;                                                  \
  if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) { \
    va_list more;                                                   \
    va_start(more, flags);                                          \
    mode = va_arg(more, mode_t);                                    \
    va_end(more);                                                   \
  }

int open(const char* name, int flags, ...) {
  NEXT(open);
  MODE(flags);
  AS_CREATION('C', AT_FDCWD, name, (flags & O_CREAT) != 0, (flags & O_TRUNC) != 0, next(name, flags, mode));
}

int open64(const char* name, int flags, ...) {
  NEXT(open64);
  MODE(flags);
  AS_CREATION('C', AT_FDCWD, name, (flags & O_CREAT) != 0, (flags & O_TRUNC) != 0, next(name, flags, mode));
}

int openat(int folder, const char* name, int flags, ...) {
  NEXT(openat);
  MODE(flags);
  AS_CREATION('C', folder, name, (flags & O_CREAT) != 0, (flags & O_TRUNC) != 0, next(folder, name, flags, mode));
}

int openat64(int folder, const char* name, int flags, ...) {
  NEXT(openat64);
  MODE(flags);
  AS_CREATION('C', folder, name, (flags & O_CREAT) != 0, (flags & O_TRUNC) != 0, next(folder, name, flags, mode));
}

int creat(const char* name, mode_t mode) {
  NEXT(creat);
  AS_CREATION('C', AT_FDCWD, name, 1, 1, next(name, mode));
}

FILE* fopen(const char* name, const char* mode) {
  NEXT(fopen);
  AS_CREATION('C', AT_FDCWD, name, mode[0] != 'r', mode[0] == 'w', next(name, mode));
}

FILE* fopen64(const char* name, const char* mode) {
  NEXT(fopen64);
  AS_CREATION('C', AT_FDCWD, name, mode[0] != 'r', mode[0] == 'w', next(name, mode));
}

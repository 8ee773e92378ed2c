// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/memory_bound.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>

#include "sdk/base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define WEIR_FUZZ_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_FUZZ_SANITIZED 1
#endif
#endif

namespace weir::fuzz {
namespace {

// Written by malloc itself, which may be called before anything is constructed.
thread_local constinit Allocated mine;

void took(std::size_t bytes) {
  mine.now += bytes;
  mine.peak = std::max(mine.peak, mine.now);
}
// What another thread allocated may be freed here.
void gave(std::size_t bytes) { mine.now -= std::min(mine.now, bytes); }

}  // namespace

Allocated& allocated() { return mine; }

MemoryBound::MemoryBound(std::size_t bytes_max) : before_(mine.now), bytes_max_(bytes_max) { mine.peak = mine.now; }

MemoryBound::~MemoryBound() {
  const std::size_t taken = mine.peak - before_;
  WEIR_CHECK(taken <= bytes_max_, fmt::format("an input took {} bytes of memory; {} were allowed", taken, bytes_max_));
}

}  // namespace weir::fuzz

// How the counting gets between: the sanitizer's own hooks, or, without one, these in front of glibc's.
#ifdef WEIR_FUZZ_SANITIZED

// Of sanitizer/allocator_interface.h, which comes with clang but not with g++ 12; both have the functions.
extern "C" {
std::size_t __sanitizer_get_allocated_size(const volatile void* at);                                 // NOLINT
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),  // NOLINT
                                              void (*on_free)(const volatile void*));
}

namespace {

void on_malloc(const volatile void*, std::size_t bytes) { weir::fuzz::took(bytes); }
void on_free(const volatile void* at) {
  if (at != nullptr) weir::fuzz::gave(__sanitizer_get_allocated_size(at));
}
const int installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);

}  // namespace

#else

extern "C" {
void* __libc_malloc(std::size_t);               // NOLINT
void* __libc_calloc(std::size_t, std::size_t);  // NOLINT
void* __libc_realloc(void*, std::size_t);       // NOLINT
void __libc_free(void*);                        // NOLINT

__attribute__((visibility("default"))) void* malloc(std::size_t bytes) {
  void* at = __libc_malloc(bytes);
  if (at != nullptr) weir::fuzz::took(malloc_usable_size(at));
  return at;
}
__attribute__((visibility("default"))) void* calloc(std::size_t count, std::size_t bytes) {
  void* at = __libc_calloc(count, bytes);
  if (at != nullptr) weir::fuzz::took(malloc_usable_size(at));
  return at;
}
__attribute__((visibility("default"))) void* realloc(void* from, std::size_t bytes) {
  const std::size_t before = from == nullptr ? 0 : malloc_usable_size(from);
  void* at = __libc_realloc(from, bytes);
  if (at != nullptr) {
    weir::fuzz::gave(before);
    weir::fuzz::took(malloc_usable_size(at));
  }
  return at;
}
__attribute__((visibility("default"))) void free(void* at) {
  if (at != nullptr) weir::fuzz::gave(malloc_usable_size(at));
  __libc_free(at);
}
}

#endif

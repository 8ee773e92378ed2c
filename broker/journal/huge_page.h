// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>

#include "sdk/base/bytes.h"
#include "sdk/base/check.h"

namespace weir::journal {

/// Two MiB of zeros to begin with, in one huge page where there are any: written past the page cache they are one piece
/// for the disk, where as many small pages are as many, and take twice as long. Thread: as plain memory.
class HugePage {
 public:
  static constexpr std::size_t kBytes = 2 << 20;

  HugePage() : mapped_(::mmap(nullptr, 2 * kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (mapped_ == MAP_FAILED) throw std::bad_alloc();
    std::size_t room = 2 * kBytes;
    page_ = mapped_;
    WEIR_CHECK(std::align(kBytes, kBytes, page_, room) != nullptr, "twice its size has room for it wherever it lies");
    (void)::madvise(page_, kBytes, MADV_HUGEPAGE);
    // Touched, since what is only read is one small page of zeros over and over.
    std::memset(page_, 0, kBytes);
  }
  ~HugePage() { ::munmap(mapped_, 2 * kBytes); }
  HugePage(const HugePage&) = delete;
  HugePage& operator=(const HugePage&) = delete;

  [[nodiscard]] std::span<std::byte> bytes() { return {static_cast<std::byte*>(page_), kBytes}; }
  [[nodiscard]] BytesView bytes() const { return {static_cast<const std::byte*>(page_), kBytes}; }

 private:
  void* const mapped_;
  void* page_ = nullptr;
};

}  // namespace weir::journal

// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/worker_page.h"

#include <fmt/format.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "weir/abi.h"

namespace weir::launcher {

Result<WorkerPage> WorkerPage::make() {
  Fd fd(::memfd_create("weir-work-page", MFD_CLOEXEC));
  if (fd.get() < 0 || ::ftruncate(fd.get(), sizeof(wire::WorkPage)) != 0)
    return {Code::kIo, fmt::format("no memory to share with a worker: {}", ::strerror(errno))};
  void* memory = ::mmap(nullptr, sizeof(wire::WorkPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return {Code::kIo, fmt::format("no memory to share with a worker: {}", ::strerror(errno))};
  return WorkerPage(std::move(fd), static_cast<wire::WorkPage*>(memory));
}

WorkerPage::WorkerPage(WorkerPage&& other) noexcept
    : fd_(std::move(other.fd_)), page_(std::exchange(other.page_, nullptr)) {}

WorkerPage& WorkerPage::operator=(WorkerPage&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(page_, other.page_);
  return *this;
}

WorkerPage::~WorkerPage() {
  if (page_ != nullptr) ::munmap(page_, sizeof(wire::WorkPage));
}

std::optional<LastWork> WorkerPage::read() const {
  if (page_->version.load() != wire::WorkPage::kVersion) return std::nullopt;
  LastWork last;
  last.doing = page_->doing.load();
  last.stage = page_->stage.load();
  last.stream = page_->stream.load();
  last.shard = page_->shard.load();
  std::uint32_t record = 0;
  std::memcpy(&record, page_->head_context + offsetof(weir_context, record), sizeof(record));
  last.offset = page_->from.load() + record;
  last.requeued = page_->requeued.load();
  last.producer = page_->producer.load();
  last.alone = page_->alone.load() != 0;
  return last;
}

}  // namespace weir::launcher

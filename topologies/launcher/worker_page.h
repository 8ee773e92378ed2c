// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "sdk/base/result.h"
#include "sdk/wire/work_page.h"
#include "topologies/launcher/fd.h"

namespace weir::launcher {

/// What a worker is at, or was when it died.
struct LastWork {
  wire::Doing doing = wire::Doing::kNothing;
  std::uint32_t stage = 0;   ///< index in the topology
  std::uint32_t stream = 0;  ///< kProcess: the record, where it came from
  std::uint32_t shard = 0;
  std::uint64_t offset = 0;
  std::uint64_t requeued = 0;  ///< kRequeued: its number
  std::uint64_t producer = 0;  ///< kProcess: the incarnation whose record it is, where it came past the broker, ...
  bool alone = false;          ///< ... and nothing else was begun

  /// A record was being processed: the death is laid to it.
  [[nodiscard]] bool of_record() const { return doing == wire::Doing::kProcess || doing == wire::Doing::kRequeued; }
};

/// A page shared with one process of a worker (wire/work_page.h): anonymous memory that the child inherits by a
/// descriptor.
class WorkerPage {
 public:
  /// Errors: kIo.
  static Result<WorkerPage> make();
  WorkerPage(WorkerPage&& other) noexcept;
  WorkerPage& operator=(WorkerPage&& other) noexcept;
  WorkerPage(const WorkerPage&) = delete;
  WorkerPage& operator=(const WorkerPage&) = delete;
  ~WorkerPage();

  /// To be inherited; it may be closed here once the child runs.
  [[nodiscard]] int fd() const { return fd_.get(); }
  void close_fd() { fd_.reset(); }
  /// What it is at, or was when it died. Nothing where it has not come to filling in the page.
  [[nodiscard]] std::optional<LastWork> read() const;

 private:
  WorkerPage(Fd fd, wire::WorkPage* page) : fd_(std::move(fd)), page_(page) {}
  Fd fd_;
  wire::WorkPage* page_ = nullptr;
};

}  // namespace weir::launcher

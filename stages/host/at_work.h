// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "sdk/base/ids.h"
#include "sdk/wire/frame.h"
#include "sdk/wire/work_page.h"
#include "weir/abi.h"

namespace weir::host {

/// Says in a page what this worker is at, for those who look on: the launcher when it has died, the watchdog while it
/// lives. A page of its own serves where nobody gave one.
/// Thread: the runner's; `page()` and `context()` may be read by any. Lifetime: a page given by use() must outlive it.
class AtWork {
 public:
  AtWork() = default;
  AtWork(const AtWork&) = delete;
  AtWork& operator=(const AtWork&) = delete;

  /// REQUIRES: before anything is begun.
  void use(wire::WorkPage& page) {
    page_ = &page;
    page_->version.store(wire::WorkPage::kVersion);
  }
  [[nodiscard]] wire::WorkPage& page() { return *page_; }

  /// One thing that is being done, maybe within another; it is over with this object.
  class [[nodiscard]] Turn {
   public:
    Turn(AtWork& work, wire::Doing doing) : page_(*work.page_), before_(page_.doing.load(std::memory_order_relaxed)) {
      next_turn(page_);
      page_.doing.store(doing, std::memory_order_release);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { page_.doing.store(before_, std::memory_order_release); }

   private:
    wire::WorkPage& page_;
    const wire::Doing before_;
  };
  Turn begin(wire::Doing doing) { return {*this, doing}; }
  /// One call of a stage, outside its records.
  Turn call(wire::Doing doing, std::uint32_t stage) {
    enter(stage, nullptr);
    return begin(doing);
  }
  /// `producer`: whose it is where it came past the broker.
  Turn process(const wire::DeliveryHeader& batch, Incarnation producer = {}) {
    page_->producer.store(producer.value(), std::memory_order_relaxed);
    page_->stream.store(batch.stream, std::memory_order_relaxed);
    page_->shard.store(batch.shard, std::memory_order_relaxed);
    page_->from.store(batch.offset, std::memory_order_relaxed);
    return {*this, wire::Doing::kProcess};
  }
  /// Whether what is processed from now on is all that is begun and not committed.
  void alone(bool is) { page_->alone.store(is ? 1 : 0, std::memory_order_relaxed); }
  /// The head goes on with a batch of which record 0 has this offset.
  void come_from(std::uint64_t offset) { page_->from.store(offset, std::memory_order_relaxed); }
  /// `turn`: of a parked record, see FatalRecord.
  Turn requeued(std::uint64_t number, std::uint64_t turn = 0) {
    page_->requeued.store(number, std::memory_order_relaxed);
    page_->from.store(turn, std::memory_order_relaxed);
    return {*this, wire::Doing::kRequeued};
  }

  /// A stage is called, which keeps the record that it has come to in `context`.
  void enter(std::uint32_t stage, const weir_context* context) {
    page_->stage.store(stage, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    next_turn(*page_);
  }
  [[nodiscard]] const weir_context* context() const { return context_.load(std::memory_order_relaxed); }

 private:
  /// Only this thread writes: no locked instruction for each key of a state.
  static void next_turn(wire::WorkPage& page) {
    page.turn.store(page.turn.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  wire::WorkPage own_;
  wire::WorkPage* page_ = &own_;
  std::atomic<const weir_context*> context_{nullptr};
};

}  // namespace weir::host

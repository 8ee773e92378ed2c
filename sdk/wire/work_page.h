// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::wire {

/// What a worker's process is at, of what belongs to a stage.
enum class Doing : std::uint32_t {
  kNothing = 0,  ///< nothing of a stage's: it waits, or the worker itself is at work
  kCreate,
  kRestore,
  kProcess,   ///< records of the unit's input: stream, shard, from, record
  kRequeued,  ///< the record of a dead letter: requeued
  kWatermark,
  kFinish,
  kEnumerate,
  kRead,
  kFlush,
  kOpen,
  kClose,
  kDurable,
  kDestroy,
};
/// "processing a record", "in finish".
std::string_view to_string(Doing doing);

/// A page that a worker shares with the launcher that started it, so that a death can be laid to what caused it. The
/// launcher makes it, the worker fills it in, the launcher reads it when the worker is dead; the worker's watchdog
/// reads it while it lives. Both are programs of one build, so its layout is nobody else's business.
struct WorkPage {
  static constexpr std::uint32_t kVersion = 2;
  static constexpr std::size_t kContextBytes = 128;

  std::atomic<std::uint32_t> version{0};  ///< 0: the worker has not come to filling it in
  std::atomic<Doing> doing{Doing::kNothing};
  std::atomic<std::uint32_t> stage{0};   ///< which is at work; of fused ones not always the head
  std::atomic<std::uint32_t> stream{0};  ///< of the unit's input
  std::atomic<std::uint32_t> shard{0};
  std::atomic<std::uint64_t> from{0};  ///< offset of record 0 in the head's weir_context
  std::atomic<std::uint64_t> requeued{0};
  std::atomic<std::uint64_t> producer{0};  ///< whose record it is where it came past the broker, ...
  std::atomic<std::uint32_t> alone{0};     ///< ... and that nothing else of it is begun and not committed
  std::atomic<std::uint64_t> turn{0};      ///< goes up with everything that is begun
  /// Starts with the weir_context (abi.h) of the head: its `record` is kept by the plugin anyway, so that naming the
  /// record costs nothing.
  alignas(16) std::byte head_context[kContextBytes] = {};
};
static_assert(sizeof(WorkPage) <= 4096);

}  // namespace weir::wire

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "weir/config.h"
#include "weir/context.h"
#include "weir/record.h"

namespace weir {

/// What a sink is told when it gets its target: which, and how far commits have come.
class Target {
 public:
  Target(std::uint32_t shard, weir_bytes position)
      : shard_(shard), position_(reinterpret_cast<const char*>(position.data), position.size) {}

  /// 0 where kSharing is not kShard.
  [[nodiscard]] std::uint32_t shard() const { return shard_; }
  /// Nothing was ever committed: begin anew.
  [[nodiscard]] bool fresh() const { return position_.empty(); }
  /// What set_position said with the last commit, T() at first. Errors: DecodeError.
  template <typename T>
  [[nodiscard]] T position() const {
    return fresh() ? T() : ValueView(std::as_bytes(std::span(position_))).as<T>();
  }

 private:
  std::uint32_t shard_;
  std::string_view position_;
};

/// Where records leave. It sees only records that are durable, each shard in order; after a crash records come again
/// from the last commit on, cut into other portions but never others and never in another order. To write exactly once,
/// a sink tells in flush how far its target is (set_position), and in open goes back to what was committed.
///
///     #include <weir/sink.h>
///
///     class Total final : public weir::Sink {                 // keeps a file with the sum of all values
///      public:
///       static constexpr std::string_view kSchema = R"({"type": "object", "properties": {"path": {"type": "string",
///           "format": "path"}}, "required": ["path"]})";
///       explicit Total(const weir::Config& config) : path_(config.get<std::string>("/path")) {}
///
///       void open(const weir::Target& target) override { total_ = target.position<std::int64_t>(); }
///       void write(const weir::RecordView& in) override { total_ += in.value<std::int64_t>(); }
///       void flush() override {
///         write_durably(path_, total_);
///         set_position(total_);
///       }
///       ...
///     };
///     WEIR_STAGE(Total, "total");
///
/// Constructor, kSchema and kInputs as in stage.h. Errors: an exception from write fails the record; from close it is
/// logged, since what was written is committed by then; from any other call it ends the topology. [one thread]
class Sink {
 public:
  /// How the target may be shared among workers: `static constexpr Sharing kSharing = Sharing::kShard;`
  enum class Sharing : std::uint32_t {
    kSingle = WEIR_SHARING_SINGLE,  ///< one target, one worker; the default
    kShard = WEIR_SHARING_SHARD,    ///< a target for each shard; each is opened on its own
    kAny = WEIR_SHARING_ANY,        ///< the target itself fences and deduplicates
  };

  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual ~Sink() = default;

  /// This worker owns the target from here on. Errors: as below; TargetBusy where it is another's still.
  virtual void open(const Target& target) { static_cast<void>(target); }

  /// One record. in.stream(), in.shard() and in.offset() say which it is; context().shard() whose target.
  virtual void write(const RecordView& in) = 0;

  /// Returns when the target of context().shard() holds durably all that was written; only then the records count as
  /// processed.
  virtual void flush() {}

  /// The target leaves this worker; nothing uncommitted is pending.
  virtual void close(std::uint32_t shard) { static_cast<void>(shard); }

 protected:
  /// In each flush: what open shall be given from this commit on; a flush that does not say it commits "nothing yet".
  /// Any type that encode() takes.
  template <typename T>
  void set_position(const T& position) {
    position_.clear();
    encode(position_, position);
  }

  /// For log, count, shard. Valid within a call.
  [[nodiscard]] Context& context() { return *context_; }

 private:
  template <typename T>
  friend class SinkAdapter;

  std::string position_;
  Context* context_ = nullptr;
};

}  // namespace weir

#include "weir/library.h"  // WEIR_STAGE, WEIR_LIBRARY

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "weir/config.h"
#include "weir/context.h"

namespace weir {

/// What a source has to say after a read.
enum class Progress {
  kMore,   ///< there is more: read again at once
  kEmpty,  ///< nothing there at the moment: ask again later
  kEnd,    ///< this split has ended for good
};

/// The splits of a source, while it names them. A split is a part that is read on its own and in order: a file, a
/// partition, a range.
class SplitList {
 public:
  explicit SplitList(weir_context* context, weir_split_list* list) : context_(context), list_(list) {}

  /// Adds a split; one that is known already stays as it is, with its position. Its id is text without NUL.
  void add(std::string_view id) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(id.data());
    if (context_->host->split_add(list_, {bytes, id.size()}) != WEIR_OK) {
      throw std::runtime_error("the split \"" + std::string(id) + "\" was refused");
    }
  }
  /// There may be others later: ask again. Without it the list is complete, and the source ends when its splits have.
  void ask_again() { again_ = true; }
  [[nodiscard]] bool again() const { return again_; }

 private:
  weir_context* context_;
  weir_split_list* list_;
  bool again_ = false;
};

/// One split while it is read. Its position is the split's state: committed together with what read emitted, so that
/// after any crash reading goes on exactly behind the last record that counts.
class Split {
 public:
  Split(weir_context* context, weir_split* split) : host_(context->host), split_(split) {}
  Split(weir_context* context, const weir_split* split)
      : host_(context->host), split_(const_cast<weir_split*>(split)) {}

  [[nodiscard]] std::string_view id() const { return text(host_->split_id(split_)); }

  /// True as long as no position was ever set.
  [[nodiscard]] bool fresh() const { return host_->split_position(split_).size == 0; }
  /// The position as last set, T() at first. Errors: DecodeError where it was set as something else.
  template <typename T>
  [[nodiscard]] T position() const {
    const std::string_view bytes = text(host_->split_position(split_));
    return bytes.empty() ? T() : ValueView(std::as_bytes(std::span(bytes))).as<T>();
  }
  /// In read: where to go on. Any type that encode() takes; keep it small, it is written with every commit.
  template <typename T>
  void set_position(const T& position) {
    std::string bytes;
    encode(bytes, position);
    host_->split_set_position(split_, {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  }

 private:
  static std::string_view text(weir_bytes bytes) { return {reinterpret_cast<const char*>(bytes.data), bytes.size}; }

  const weir_host* host_;
  weir_split* split_;
};

/// Where records come from. A complete one:
///
///     #include <weir/source.h>
///
///     class Countdown final : public weir::Source {
///      public:
///       static constexpr std::string_view kSchema =
///           R"({"type": "object", "properties": {"from": {"type": "integer"}}, "required": ["from"]})";
///       explicit Countdown(const weir::Config& config) : from_(config.get<std::int64_t>("/from")) {}
///
///       void splits(weir::SplitList& list) override { list.add("all"); }
///
///       weir::Progress read(weir::Split& split, weir::Context& out) override {
///         auto done = split.position<std::int64_t>();  // 0 at first
///         while (done < from_ && !out.full()) out.emit(from_ - done++);
///         split.set_position(done);
///         return done < from_ ? weir::Progress::kMore : weir::Progress::kEnd;
///       }
///
///      private:
///       std::int64_t from_;
///     };
///     WEIR_STAGE(Countdown, "countdown");
///
/// Constructor, kSchema, kOutputs and kDeterministic as in stage.h. `static constexpr bool kLocal = true` says that
/// splits name things of one host (files, devices): a worker on another host does not get them. One instance may read
/// several splits, now one, now the other; a split may come back with an older position, when a transaction was lost,
/// go on elsewhere (weir scale), or come back from there with a later one. Errors: an exception from any call fails the
/// call with its sentence; Fatal, and any exception of read, ends the topology. [one thread]
class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  /// Names all splits that are known now. One worker at a time is asked.
  virtual void splits(SplitList& list) = 0;

  /// Emits some records of the split, from its position on, and sets the position behind them. Should return within
  /// some milliseconds, and soon after out.full(); never sleeps (kEmpty says "ask later"). After kEmpty it is called
  /// again within 50 microseconds to 20 ms: the sooner the closer records have come of late, but not before sixteen
  /// times what their commit took are over (1 ms at most), so that what comes quickly is committed some at a time.
  virtual Progress read(Split& split, Context& out) = 0;

  /// The split's position, as it stands in `split`, is on disk: what it stands for may be acknowledged outside.
  virtual void on_durable(Split& split) { static_cast<void>(split); }
};

}  // namespace weir

#include "weir/library.h"  // WEIR_STAGE, WEIR_LIBRARY

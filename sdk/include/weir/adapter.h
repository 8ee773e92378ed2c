// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "weir/abi.h"
#include "weir/context.h"
#include "weir/record.h"
#include "weir/sink.h"
#include "weir/source.h"
#include "weir/stage.h"
#include "weir/state_types.h"

// What turns the C calls of abi.h into calls of the C++ classes, and their exceptions into answers: nothing thrown
// leaves this file. What depends on a stage's type is hidden, so that two libraries with classes of one name share
// nothing in one process. Included by library.h only, which stage.h, source.h and sink.h include.

namespace weir {

/// The names of a stage's ports, ending with null. A value that lives as long as the library.
struct Ports {
  const char* const* names = nullptr;
  std::uint32_t count = 0;

  [[nodiscard]] std::string_view name(std::uint32_t index) const {
    return index < count ? std::string_view(names[index]) : std::string_view();
  }
};

/// One call from the host: joins a Context to it for its duration.
class Call {
 public:
  Call(Context& context, weir_context* raw, Ports outputs, StateStore* store, bool clock) : context_(context) {
    context_.raw_ = raw;
    context_.outputs_ = outputs.names;
    context_.output_count_ = outputs.count;
    context_.store_ = store;
    context_.clock_ = clock;
    begin(nullptr);
    context_.again_ = false;
    if (store != nullptr) store->enter(raw);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() { context_.input_ = nullptr; }

  void begin(const RecordView* input) {
    context_.input_ = input;
    context_.refused_ = false;
  }
  /// The host refused what was emitted, even if the stage caught the exception.
  [[nodiscard]] bool refused() const { return context_.refused_; }
  [[nodiscard]] bool again() const { return context_.again_; }

  /// Runs `work`, which answers; an exception becomes `on_error` with its sentence given to the host.
  template <typename Work>
  static int guard(weir_context* raw, int on_error, Work work) noexcept {
    try {
      return work();
    } catch (const EmitRefused&) {
      return on_error;  // the host has its own sentence
    } catch (const Fatal& error) {
      return fail(raw, WEIR_FATAL, error.what());
    } catch (const StateError& error) {
      return fail(raw, WEIR_FATAL, error.what());
    } catch (const std::exception& error) {
      return fail(raw, on_error, error.what());
    } catch (...) {
      return fail(raw, on_error, "the stage threw something that is no std::exception");
    }
  }

 private:
  static int fail(weir_context* raw, int answer, std::string_view sentence) {
    raw->host->fail(raw, sentence.data(), sentence.size());
    return answer;
  }

  Context& context_;
};

/// Remembers where in a batch the next record begins, so that a batch worked off in portions is not walked from its
/// start each time.
class BatchPlace {
 public:
  /// Puts `cursor` at record `first`; false where the batch has no such record.
  bool seek(BatchCursor& cursor, const weir_batch& batch, std::uint32_t first) const {
    if (first > 0 && first == index_ && batch.records.data == records_ && batch.records.size == size_ &&
        batch.offset == offset_) {
      cursor.resume(position_, first);
      return true;
    }
    for (std::uint32_t i = 0; i < first; ++i) {
      if (cursor.next() == nullptr) return false;
    }
    return true;
  }
  void keep(const BatchCursor& cursor, const weir_batch& batch, std::uint32_t index) {
    records_ = batch.records.data;
    size_ = batch.records.size;
    offset_ = batch.offset;
    index_ = index < batch.count ? index : 0;
    position_ = cursor.position(batch);
  }

 private:
  const std::uint8_t* records_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t offset_ = 0;
  std::uint32_t index_ = 0;
  std::size_t position_ = 0;
};

/// Goes through a batch some records in front of the stage and says which keys come, so that their state is near when
/// it is asked for: with many keys that is what a record waits for longest.
class KeysAhead {
 public:
  /// `store`: null for a stage that keeps no state.
  KeysAhead(const StateStore* store, std::uint32_t shard) : store_(store), shard_(shard) {}
  /// `cursor` is about to give the next record.
  void before(const BatchCursor& cursor) {
    AnyStateTable* table = store_ == nullptr ? nullptr : store_->likely(shard_);
    if (table == nullptr || ended_) return;
    if (!ahead_) ahead_.emplace(cursor);
    for (; lead_ < kLead; ++lead_) {
      const RecordView* record = ahead_->next();
      ended_ = record == nullptr;
      if (ended_) return;
      const BytesView key = record->key_bytes();
      table->expect({reinterpret_cast<const char*>(key.data()), key.size()});
    }
    --lead_;
  }

 private:
  static constexpr int kLead = 8;
  const StateStore* store_;
  std::uint32_t shard_;
  std::optional<BatchCursor> ahead_;
  int lead_ = 0;  ///< records between the stage and `ahead_`
  bool ended_ = false;
};

/// Works off a batch for process and write: `each(record)` answers WEIR_OK or what failed it. The contract is abi.h's.
template <typename Each>
int work_off(weir_context* raw, const weir_batch& batch, std::string_view port, BatchPlace& place, KeysAhead ahead,
             std::uint32_t first, std::uint32_t* done, Each each) {
  BatchCursor cursor(batch, port);
  *done = first;
  if (!place.seek(cursor, batch, first)) throw Fatal("a batch has fewer records than it says");
  while (*done < batch.count) {
    __atomic_store_n(&raw->record, *done, __ATOMIC_RELAXED);  // the host looks at it from another thread
    ahead.before(cursor);
    const RecordView* record = cursor.next();
    if (record == nullptr) throw Fatal("a batch has fewer records than it says");
    const int answer = each(*record);
    if (answer != WEIR_OK) return answer;
    ++*done;
    if (raw->stop != 0) break;
  }
  place.keep(cursor, batch, *done);
  return WEIR_OK;
}

/// A plugin class and what its calls need. `T` is made from Config if it can be.
template <typename T>
struct [[gnu::visibility("hidden")]] Instance {
  explicit Instance(const Config& config)
    requires std::constructible_from<T, const Config&>
      : stage(config) {}
  explicit Instance(const Config&)
    requires(!std::constructible_from<T, const Config&>)
  {}

  T stage{};
  Context context;
  StateStore store;
  BatchPlace place;
  StateTrial<T> trial;

  static void* create(weir_context* raw, const char* config, std::size_t config_size) noexcept {
    void* made = nullptr;
    Call::guard(raw, WEIR_ERROR, [&] {
      made = std::make_unique<Instance>(Config(std::string_view(config, config_size))).release();
      return WEIR_OK;
    });
    return made;
  }
  static void destroy(void* self) noexcept { delete static_cast<Instance*>(self); }
  static Instance& of(void* self) { return *static_cast<Instance*>(self); }
};

template <typename T>
class [[gnu::visibility("hidden")]] StageAdapter {
 public:
  using Self = Instance<T>;

  /// Set once, before the first instance: ports of the class and whether it keeps state.
  static inline Ports inputs;
  static inline Ports outputs;
  static inline bool keyed = false;

  static int process(void* self, weir_context* raw, const weir_batch* batch, std::uint32_t first,
                     std::uint32_t* done) noexcept {
    return each(self, raw, batch, first, done,
                [](Self& me, const RecordView& record) { me.stage.process(record, me.context); });
  }
  static int merge(void* self, weir_context* raw, const weir_batch* batch, std::uint32_t first,
                   std::uint32_t* done) noexcept {
    return each(self, raw, batch, first, done,
                [](Self& me, const RecordView& record) { me.stage.merge(PartialView(record), me.context); });
  }

  static int on_watermark(void* self, weir_context* raw) noexcept {
    return once(self, raw, [](Self& me) { me.stage.on_watermark(me.context); });
  }
  static int finish(void* self, weir_context* raw) noexcept {
    return once(self, raw, [](Self& me) { me.stage.finish(me.context); });
  }

  static int state_load(void* self, weir_context* raw, weir_bytes name, weir_bytes key, weir_bytes value) noexcept {
    return Call::guard(raw, WEIR_FATAL, [&] {
      Self::of(self).store.load(raw->shard, text(name), text(key),
                                {reinterpret_cast<const std::byte*>(value.data), value.size});
      return WEIR_OK;
    });
  }
  static int state_flush(void* self, weir_context* raw) noexcept {
    return Call::guard(raw, WEIR_FATAL, [&] {
      Self::of(self).store.flush(raw->shard, [&](std::string_view name) { return Changes(raw, name); });
      return WEIR_OK;
    });
  }
  static void state_drop(void* self, std::uint32_t shard) noexcept { Self::of(self).store.drop(shard); }
  static std::uint64_t state_bytes(const void* self) noexcept { return static_cast<const Self*>(self)->store.bytes(); }
  static std::uint64_t state_pending(const void* self) noexcept {
    return static_cast<const Self*>(self)->store.pending().bytes();
  }
  static void state_on_demand(void* self) noexcept { Self::of(self).store.on_demand(); }
  static void state_evict(void* self, std::uint64_t bytes_max) noexcept { Self::of(self).store.evict(bytes_max); }
  static int state_try(void* self, weir_context* raw, weir_bytes name, weir_bytes key, weir_bytes value) noexcept {
    static_cast<void>(key);
    return Call::guard(raw, WEIR_ERROR, [&]() -> int {
      using Answer = typename StateTrial<T>::Answer;
      std::string why;
      const BytesView bytes(reinterpret_cast<const std::byte*>(value.data), value.size);
      const Answer answer = Self::of(self).trial.judge(text(name), bytes, why);
      if (answer == Answer::kCannot) throw DecodeError(why);
      return answer == Answer::kReads ? WEIR_OK : WEIR_EMPTY;
    });
  }

 private:
  /// Hands the changes of one state to the host.
  class Changes final : public StateChanges {
   public:
    Changes(weir_context* raw, std::string_view name) : raw_(raw), name_(bytes(name)) {}
    void put(std::string_view key, std::string_view value) override {
      check(raw_->host->state_put(raw_, name_, bytes(key), bytes(value)));
    }
    void erase(std::string_view key) override { check(raw_->host->state_erase(raw_, name_, bytes(key))); }

   private:
    static weir_bytes bytes(std::string_view text) {
      return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
    }
    static void check(int answer) {
      if (answer != WEIR_OK) throw Fatal("the worker did not take a change of state");
    }
    weir_context* raw_;
    weir_bytes name_;
  };

  static std::string_view text(weir_bytes bytes) { return {reinterpret_cast<const char*>(bytes.data), bytes.size}; }
  static StateStore* store(Self& me) { return keyed ? &me.store : nullptr; }

  template <typename Work>
  static int each(void* self, weir_context* raw, const weir_batch* batch, std::uint32_t first, std::uint32_t* done,
                  Work work) noexcept {
    Self& me = Self::of(self);
    const int answer = Call::guard(raw, WEIR_ERROR, [&] {
      Call call(me.context, raw, outputs, store(me), false);
      const KeysAhead ahead(store(me), raw->shard);
      return work_off(raw, *batch, inputs.name(batch->port), me.place, ahead, first, done,
                      [&](const RecordView& record) {
                        me.store.begin();
                        call.begin(&record);
                        work(me, record);
                        return call.refused() ? WEIR_ERROR : WEIR_OK;
                      });
    });
    if (answer != WEIR_OK) me.store.undo();
    return answer;
  }

  template <typename Work>
  static int once(void* self, weir_context* raw, Work work) noexcept {
    Self& me = Self::of(self);
    const int answer = Call::guard(raw, WEIR_ERROR, [&]() -> int {
      Call call(me.context, raw, outputs, store(me), false);
      me.store.begin();
      work(me);
      if (call.refused()) return WEIR_ERROR;
      return call.again() ? WEIR_MORE : WEIR_OK;
    });
    if (answer < 0) me.store.undo();
    return answer;
  }
};

template <typename T>
class [[gnu::visibility("hidden")]] SourceAdapter {
 public:
  using Self = Instance<T>;

  static inline Ports outputs;

  static int enumerate(void* self, weir_context* raw, weir_split_list* list) noexcept {
    return Call::guard(raw, WEIR_ERROR, [&]() -> int {
      SplitList splits(raw, list);
      Self::of(self).stage.splits(splits);
      return splits.again() ? WEIR_MORE : WEIR_END;
    });
  }
  static int read(void* self, weir_context* raw, weir_split* split) noexcept {
    return Call::guard(raw, WEIR_ERROR, [&]() -> int {
      Self& me = Self::of(self);
      Call call(me.context, raw, outputs, nullptr, true);
      Split view(raw, split);
      const Progress progress = me.stage.read(view, me.context);
      if (call.refused()) return WEIR_ERROR;
      return progress == Progress::kMore ? WEIR_MORE : progress == Progress::kEmpty ? WEIR_EMPTY : WEIR_END;
    });
  }
  static void on_durable(void* self, weir_context* raw, const weir_split* split) noexcept {
    Call::guard(raw, WEIR_ERROR, [&] {
      Split view(raw, split);
      Self::of(self).stage.on_durable(view);
      return WEIR_OK;
    });
  }
};

template <typename T>
class [[gnu::visibility("hidden")]] SinkAdapter {
 public:
  using Self = Instance<T>;

  static inline Ports inputs;

  static int open(void* self, weir_context* raw, weir_bytes position) noexcept {
    int answer = WEIR_OK;
    const int failed = with(self, raw, WEIR_FATAL, [&](Self& me) {
      try {
        me.stage.open(Target(raw->shard, position));
      } catch (const TargetBusy& busy) {
        const std::string_view sentence = busy.what();
        raw->host->fail(raw, sentence.data(), sentence.size());
        answer = WEIR_EMPTY;
      }
    });
    return failed == WEIR_OK ? answer : failed;
  }
  static int write(void* self, weir_context* raw, const weir_batch* batch, std::uint32_t first,
                   std::uint32_t* done) noexcept {
    return Call::guard(raw, WEIR_ERROR, [&] {
      Self& me = Self::of(self);
      const Call call(me.context, raw, {}, nullptr, false);
      base(me).context_ = &me.context;
      const KeysAhead none(nullptr, raw->shard);
      return work_off(raw, *batch, inputs.name(batch->port), me.place, none, first, done,
                      [&](const RecordView& record) {
                        me.stage.write(record);
                        return WEIR_OK;
                      });
    });
  }
  static int flush(void* self, weir_context* raw, weir_bytes* position) noexcept {
    return with(self, raw, WEIR_FATAL, [&](Self& me) {
      base(me).position_.clear();
      me.stage.flush();
      const std::string& bytes = base(me).position_;
      *position = {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
    });
  }
  static void close(void* self, weir_context* raw) noexcept {
    with(self, raw, WEIR_FATAL, [&](Self& me) { me.stage.close(raw->shard); });
  }

 private:
  static Sink& base(Self& me) { return me.stage; }

  template <typename Work>
  static int with(void* self, weir_context* raw, int on_error, Work work) noexcept {
    return Call::guard(raw, on_error, [&] {
      Self& me = Self::of(self);
      const Call call(me.context, raw, {}, nullptr, false);
      base(me).context_ = &me.context;
      work(me);
      return WEIR_OK;
    });
  }
};

}  // namespace weir

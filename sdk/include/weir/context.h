// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "weir/abi.h"
#include "weir/encode.h"
#include "weir/record.h"
#include "weir/state_store.h"
#include "weir/state_types.h"

namespace weir {

enum class LogLevel : int {
  kDebug = WEIR_LOG_DEBUG,
  kInfo = WEIR_LOG_INFO,
  kWarning = WEIR_LOG_WARNING,
  kError = WEIR_LOG_ERROR,
};

/// The worker cannot go on: thrown from any call, it ends the topology with this sentence. Any other exception fails
/// the record, or the call.
class Fatal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Thrown from Sink::open: the target is another's still, as of a worker that lost its rights and has not noticed. The
/// worker says so, and calls open again until it may have it; after half a minute it gives up with this sentence.
class TargetBusy : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The host did not take a record that was emitted; the record worked on fails with the host's sentence. Nothing to
/// catch.
class EmitRefused : public std::runtime_error {
 public:
  EmitRefused() : std::runtime_error("the record that was emitted was refused") {}
};

/// What may be said of a record beside key and value: `out.emit(key, value, {.timestamp = t})`.
struct EmitOptions {
  std::optional<Timestamp> timestamp = std::nullopt;
  std::optional<Headers> headers = std::nullopt;
};

/// True from loading on if anything in this library calls Context::state: how a stage that does not say `kKeyed` is
/// known to be keyed (see stage.h).
[[gnu::visibility("hidden")]] inline bool library_keeps_state = false;

template <typename T>
struct [[gnu::visibility("hidden")]] StateUse {
  static inline const bool seen = library_keeps_state = StateTypeOf<T>::add();
};

/// A stage's way to the world, given to every call: emits records, holds state, logs. Belongs to the worker and holds
/// for the call only. What a failed call emitted and changed is undone. [thread of the call]
class Context {
 public:
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Emits a record at the port "out", or the stage's only one. Key and value may be anything that encode() takes;
  /// key() and value() of the record passed on cost no decoding. Unless given, timestamp and headers are those of the
  /// record that the stage works on; a source's records have the time of the clock; on_watermark and finish must give a
  /// timestamp. Errors: EmitRefused; std::logic_error where a timestamp or the port is missing.
  template <typename Key, typename Value>
  void emit(const Key& key, const Value& value, const EmitOptions& options = {}) {
    send(0, key, value, options);
  }
  /// Emits a record without key.
  template <typename Value>
  void emit(const Value& value, const EmitOptions& options = {}) {
    send(0, nullptr, value, options);
  }
  /// Emits at a port of the stage's kOutputs.
  template <typename Key, typename Value>
  void emit_to(std::string_view port, const Key& key, const Value& value, const EmitOptions& options = {}) {
    send(port_index(port), key, value, options);
  }

  /// The state of the record's key, in process: the value of that name, T() where there is none yet. The reference
  /// holds until process returns; what is done to it belongs to the record. T is copied once a record. A stage may keep
  /// several states under different names. Errors: StateError where the stage is not keyed, or the name has another
  /// type.
  template <typename T>
  T& state(std::string_view name = {}) {
    return changing<T>(name).touch(record_key(), store_->unit());
  }
  /// The state of the record's key for reading, or null: costs no copy and nothing at the commit.
  template <typename T>
  const T* find_state(std::string_view name = {}) {
    return reading<T>(name).find(record_key());
  }
  template <typename T>
  void erase_state(std::string_view name = {}) {
    changing<T>(name).erase(record_key(), store_->unit());
  }

  /// In on_watermark and finish: calls `visit(ValueView key, const T& value)` for each key's value of this shard, in no
  /// stated order, and erases each for which it returns nothing or true. When the transaction is full it stops and has
  /// the call made again, so that a state of any size is worked off in portions:
  ///
  ///     void finish(weir::Context& out) override {
  ///       out.drain_state<Total>([&](weir::ValueView key, const Total& total) {
  ///         out.emit(key, total.sum, {.timestamp = total.latest});
  ///       });
  ///     }
  template <typename T, typename Visit>
  void drain_state(std::string_view name, Visit visit) {
    StateTable<T>& table = changing<T>(name);
    const auto erases = [&](ValueView key, const T& value) {
      if constexpr (std::is_void_v<std::invoke_result_t<Visit&, ValueView, const T&>>) {
        visit(key, value);
        return true;
      } else {
        return visit(key, value);
      }
    };
    if (!table.drain(store_->unit(), erases, [this] { return full(); })) call_again();
  }
  template <typename T, typename Visit>
  void drain_state(Visit visit) {
    drain_state<T>(std::string_view(), std::move(visit));
  }
  /// Calls `visit(ValueView key, const T& value)` for each key's value of this shard, in no stated order.
  template <typename T, typename Visit>
  void for_each_state(std::string_view name, Visit visit) {
    reading<T>(name).for_each(visit);
  }
  template <typename T, typename Visit>
  void for_each_state(Visit visit) {
    for_each_state<T>(std::string_view(), std::move(visit));
  }

  /// The transaction is full: a source returns, on_watermark and finish return after call_again().
  [[nodiscard]] bool full() const { return raw_->stop != 0; }
  /// In on_watermark and finish: there is more to do, call again in the next transaction.
  void call_again() { again_ = true; }

  /// A line on the worker's standard error.
  void log(LogLevel level, std::string_view text) {
    raw_->host->log(raw_, static_cast<int>(level), text.data(), text.size());
  }
  /// Adds to the metric of dropped records and errors under `cause` ([a-z_]+).
  void count(const char* cause, std::uint64_t by = 1) { raw_->host->count(raw_, cause, by); }

  /// Sources, in read: no later record of this split will have a timestamp at or before `time`.
  void watermark(Timestamp time) { raw_->host->watermark(raw_, time); }
  /// The watermark of this shard's inputs; nothing before there is one.
  [[nodiscard]] std::optional<Timestamp> watermark() const {
    return raw_->watermark == WEIR_TIME_MIN ? std::nullopt : std::optional(raw_->watermark);
  }
  /// The shard whose state this is; for a sink with kSharing kShard the shard whose target it writes.
  [[nodiscard]] std::uint32_t shard() const { return raw_->shard; }
  /// In process of a mergeable stage: this record's key is hot, and state() is what this worker has made of some of its
  /// records since the last commit (see Stage::merge). What is emitted is dropped; a stage may ask, to save the work.
  [[nodiscard]] bool partial() const { return raw_->shard == WEIR_SHARD_PARTIAL; }
  /// This worker's number within its stage, and how many there are.
  [[nodiscard]] std::uint32_t worker() const { return raw_->worker; }
  [[nodiscard]] std::uint32_t workers() const { return raw_->workers; }

 private:
  friend class Call;

  std::uint32_t port_index(std::string_view port) const {
    for (std::uint32_t i = 0; i < output_count_; ++i) {
      if (port == outputs_[i]) return i;
    }
    throw std::logic_error("emit_to: this stage has no output port \"" + std::string(port) + "\"");
  }

  [[nodiscard]] Timestamp timestamp_of(const EmitOptions& options) const {
    if (options.timestamp) return *options.timestamp;
    if (input_ != nullptr) return input_->timestamp();
    if (!clock_)
      throw std::logic_error("emit outside process needs a timestamp: out.emit(key, value, {.timestamp = t})");
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  }

  /// The MessagePack bytes of `value`: its own where it has them, else written into `buffer`.
  template <typename T>
  static weir_bytes encoded(std::string& buffer, const T& value) {
    if constexpr (std::same_as<T, ValueView>) {
      const BytesView bytes = value.bytes();
      return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
    } else if constexpr (std::is_null_pointer_v<T>) {
      return {nullptr, 0};
    } else {
      buffer.clear();
      encode(buffer, value);
      return {reinterpret_cast<const std::uint8_t*>(buffer.data()), buffer.size()};
    }
  }

  template <typename Key, typename Value>
  void send(std::uint32_t port, const Key& key, const Value& value, const EmitOptions& options) {
    if (port >= output_count_) throw std::logic_error("emit: this stage has no output port");
    weir_record record{};
    record.struct_size = sizeof(record);
    record.timestamp = timestamp_of(options);
    record.key = encoded(key_buffer_, key);
    if constexpr (std::is_null_pointer_v<Value>) {
      record.value = encoded(value_buffer_, ValueView());
    } else {
      record.value = encoded(value_buffer_, value);
    }
    if (options.headers) {
      if (!options.headers->empty()) record.headers = encoded(headers_buffer_, *options.headers);
    } else if (input_ != nullptr && input_->has_headers()) {
      const BytesView bytes = input_->headers_bytes();
      record.headers = {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
    }
    if (raw_->host->emit(raw_, port, &record) != WEIR_OK) {
      refused_ = true;
      throw EmitRefused();
    }
  }

  template <typename T>
  StateTable<T>& reading(std::string_view name) {
    static_cast<void>(&StateUse<T>::seen);
    need_store();
    return store_->table<T>(raw_->shard, name);
  }
  template <typename T>
  StateTable<T>& changing(std::string_view name) {
    static_cast<void>(&StateUse<T>::seen);
    need_store();
    return store_->changing<T>(raw_->shard, name);
  }
  void need_store() const {
    if (store_ == nullptr) {
      throw StateError("state is kept only by keyed stages: this one says kKeyed = false, or is a source or sink");
    }
  }
  [[nodiscard]] std::string_view record_key() const {
    if (input_ == nullptr)
      throw std::logic_error("state(): there is no record here; use drain_state or for_each_state");
    const BytesView key = input_->key_bytes();
    return {reinterpret_cast<const char*>(key.data()), key.size()};
  }

  weir_context* raw_ = nullptr;
  const RecordView* input_ = nullptr;
  StateStore* store_ = nullptr;
  const char* const* outputs_ = nullptr;
  std::uint32_t output_count_ = 0;
  bool clock_ = false;    ///< emits without timestamp take the clock's
  bool refused_ = false;  ///< the host refused what the current call emitted
  bool again_ = false;
  std::string key_buffer_;
  std::string value_buffer_;
  std::string headers_buffer_;
};

}  // namespace weir

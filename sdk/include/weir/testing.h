// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/encode.h"
#include "weir/testing_abi.h"
#include "weir/value.h"

// Unit tests for stages. A stage is tested as it is used: as a library, through the worker's own code, with memory in
// place of the broker. Link with libweir_testing.so (CMake: weir_add_stage_test). A complete test:
//
//     #include <weir/testing.h>
//
//     TEST(Sum, GoesOnWhereItStoppedAfterARestart) {
//       weir::testing::Harness sum(STAGES_LIBRARY, "sum");
//       sum.feed("a", 1);
//       sum.feed("a", 2);
//       sum.restart();
//       sum.feed("a", 3);
//       EXPECT_EQ(sum.outputs().back().value<int>(), 6);
//       EXPECT_EQ(sum.state<int>("a"), 6);
//     }

namespace weir::testing {

/// The worker gave up, or could not start: thrown by whatever needed it.
class Failed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One MessagePack value that a test owns.
class Owned {
 public:
  Owned() = default;
  explicit Owned(weir_bytes bytes) : bytes_(reinterpret_cast<const char*>(bytes.data), bytes.size) {}

  /// Errors: DecodeError. Views (std::string_view, BytesView) hold as long as this.
  template <typename T>
  [[nodiscard]] T as() const {
    return view().as<T>();
  }
  [[nodiscard]] ValueView view() const { return ValueView(std::as_bytes(std::span(bytes_))); }
  [[nodiscard]] bool is_nil() const { return view().is_nil(); }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  friend bool operator==(const Owned&, const Owned&) = default;
  friend auto operator<=>(const Owned&, const Owned&) = default;

 private:
  std::string bytes_;
};

/// A record that the stage emitted.
struct Output {
  std::uint32_t port = 0;  ///< index into the stage's kOutputs
  std::int64_t timestamp = 0;
  Owned raw_key;
  Owned raw_value;
  Owned raw_headers;  ///< no bytes: none

  template <typename T>
  [[nodiscard]] T key() const {
    return raw_key.as<T>();
  }
  template <typename T>
  [[nodiscard]] T value() const {
    return raw_value.as<T>();
  }
};

/// A record that the stage could not process.
struct DeadLetter {
  std::uint32_t attempts = 0;
  std::uint32_t port = 0;
  std::uint32_t shard = 0;
  std::uint64_t offset = 0;
  std::int64_t timestamp = 0;
  Owned raw_key;
  Owned raw_value;
  Owned raw_headers;
  std::string reason;

  template <typename T>
  [[nodiscard]] T key() const {
    return raw_key.as<T>();
  }
  template <typename T>
  [[nodiscard]] T value() const {
    return raw_value.as<T>();
  }
};

/// A split of a source, as committed.
struct SplitState {
  std::string id;
  Owned position;
  bool ended = false;
};

enum class Then : std::uint32_t {
  kDeadLetter = WEIR_TESTING_DEAD_LETTER,
  kSkip = WEIR_TESTING_SKIP,
  kFail = WEIR_TESTING_FAIL,
};

struct Options {
  std::uint32_t shards = 1;   ///< of each input stream
  std::uint32_t retries = 0;  ///< on_error
  Then then = Then::kDeadLetter;
  std::uint64_t transaction_bytes_max = 0;  ///< 0: the default of topologies
  bool hot_keys = false;                    ///< of the inputs of a mergeable stage: they are split, see feed_hot
};

/// A stage under test. What is fed is worked off and committed when something is asked or done that depends on it.
/// Errors: Failed, with the worker's sentence, from every call that needs a living worker. [one thread]
class Harness {
 public:
  explicit Harness(const std::string& library, const std::string& plugin, const std::string& config = "{}",
                   const Options& options = {}) {
    const weir_testing_options raw{sizeof(raw),
                                   options.shards,
                                   options.retries,
                                   static_cast<std::uint32_t>(options.then),
                                   options.transaction_bytes_max,
                                   options.hot_keys ? 1U : 0U};
    testing_ = weir_testing_open(library.c_str(), plugin.c_str(), config.c_str(), &raw);
    if (const char* sentence = weir_testing_failure(testing_)) {
      const Failed failed(sentence);
      weir_testing_close(testing_);
      throw failed;
    }
  }
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;
  ~Harness() { weir_testing_close(testing_); }

  /// Feeds a record at the port "in", into the shard of its key. Key and value are anything that encode() takes.
  template <typename Key, typename Value>
  void feed(const Key& key, const Value& value, std::int64_t timestamp = 0) {
    feed_to("in", key, value, timestamp);
  }
  /// Feeds a record at a port of the stage's kInputs. `headers`: null, or a map.
  template <typename Key, typename Value, typename Headers = std::nullptr_t>
  void feed_to(const char* port, const Key& key, const Value& value, std::int64_t timestamp = 0,
               const Headers& headers = nullptr) {
    std::string headers_bytes;
    if constexpr (!std::is_null_pointer_v<Headers>) encode(headers_bytes, headers);
    feed_by(weir_testing_feed, port, key, value, timestamp, headers_bytes, std::nullopt);
  }
  /// Feeds a record of a hot key at the port "in", into any shard: it becomes part of a partial result, which the
  /// stage's merge() is given when it is committed. REQUIRES: Options::hot_keys.
  template <typename Key, typename Value>
  void feed_hot(const Key& key, const Value& value, std::int64_t timestamp = 0, std::uint32_t shard = 0) {
    feed_by(weir_testing_feed_hot, "in", key, value, timestamp, {}, shard);
  }

  /// Works off what was fed; a source names its splits and reads each until it is empty or ended.
  void run() {
    weir_testing_run(testing_);
    check();
  }
  /// Event time of all inputs comes to `time`.
  void advance(std::int64_t time) {
    weir_testing_advance(testing_, time);
    check();
  }
  /// All inputs end.
  void finish() {
    weir_testing_finish(testing_);
    check();
  }
  /// The worker stops as on Ctrl-C, and another starts from what is committed. A worker that gave up is replaced too.
  void restart() {
    weir_testing_restart(testing_);
    check();
  }
  /// The worker works off what was fed, or reads, and is killed before the commit; another starts from what is
  /// committed and is given the same records again.
  void crash() {
    weir_testing_crash(testing_);
    check();
  }

  /// All records emitted and committed since the beginning, or since forget_outputs(), in order.
  [[nodiscard]] std::vector<Output> outputs() {
    std::vector<Output> list(weir_testing_output_count(testing_));
    check();
    for (std::size_t i = 0; i < list.size(); ++i) {
      weir_testing_output output{};
      output.struct_size = sizeof(output);
      weir_testing_output_at(testing_, i, &output);
      list[i] = {output.port, output.timestamp, Owned(output.key), Owned(output.value), Owned(output.headers)};
    }
    return list;
  }
  void forget_outputs() { weir_testing_forget_outputs(testing_); }

  [[nodiscard]] std::vector<DeadLetter> dead_letters() {
    std::vector<DeadLetter> list(weir_testing_dead_letter_count(testing_));
    check();
    for (std::size_t i = 0; i < list.size(); ++i) {
      weir_testing_dead_letter letter{};
      letter.struct_size = sizeof(letter);
      weir_testing_dead_letter_at(testing_, i, &letter);
      list[i] = {letter.attempts,   letter.port,         letter.shard,          letter.offset,      letter.timestamp,
                 Owned(letter.key), Owned(letter.value), Owned(letter.headers), text(letter.reason)};
    }
    return list;
  }

  /// The committed state of `key` under `name`, T() where there is none.
  template <typename T, typename Key>
  [[nodiscard]] T state(const Key& key, std::string_view name = {}) {
    std::string wanted;
    encode(wanted, key);
    for (const auto& [at, value] : states()) {
      if (at.first == name && at.second.bytes() == wanted) return value.template as<T>();
    }
    return T();
  }
  /// All committed state, by (name, key); of all shards together.
  [[nodiscard]] std::map<std::pair<std::string, Owned>, Owned> states() {
    std::map<std::pair<std::string, Owned>, Owned> all;
    const std::size_t count = weir_testing_state_count(testing_);
    check();
    for (std::size_t i = 0; i < count; ++i) {
      weir_testing_state state{};
      state.struct_size = sizeof(state);
      weir_testing_state_at(testing_, i, &state);
      all[{text(state.name), Owned(state.key)}] = Owned(state.value);
    }
    return all;
  }

  [[nodiscard]] std::vector<SplitState> splits() {
    std::vector<SplitState> list(weir_testing_split_count(testing_));
    check();
    for (std::size_t i = 0; i < list.size(); ++i) {
      weir_testing_split split{};
      split.struct_size = sizeof(split);
      weir_testing_split_at(testing_, i, &split);
      list[i] = {text(split.id), Owned(split.position), split.ended != 0};
    }
    return list;
  }
  /// The position that a sink's last flush gave.
  [[nodiscard]] Owned position(std::uint32_t shard = 0) {
    Owned position(weir_testing_position(testing_, shard));
    check();
    return position;
  }

  /// Records that failed, by cause: "process", "key", "size".
  [[nodiscard]] std::uint64_t errors(const std::string& cause = "process") {
    const std::uint64_t count = weir_testing_errors(testing_, cause.c_str());
    check();
    return count;
  }
  /// Records dropped, by cause: "skipped", and what the stage counts itself.
  [[nodiscard]] std::uint64_t dropped(const std::string& cause) {
    const std::uint64_t count = weir_testing_dropped(testing_, cause.c_str());
    check();
    return count;
  }
  [[nodiscard]] std::uint64_t transactions() { return weir_testing_transactions(testing_); }
  /// Every shard is finished, or every split has ended and there will be no others.
  [[nodiscard]] bool finished() { return weir_testing_finished(testing_) != 0; }

 private:
  template <typename Feed, typename Key, typename Value>
  void feed_by(Feed give, const char* port, const Key& key, const Value& value, std::int64_t timestamp,
               const std::string& headers_bytes, std::optional<std::uint32_t> into) {
    std::string key_bytes;
    std::string value_bytes;
    encode(key_bytes, key);
    encode(value_bytes, value);
    const std::int64_t shard = weir_testing_shard(testing_, raw(key_bytes));
    if (shard < 0) throw Failed("a record is fed whose key cannot be one (a map, an extension, NaN)");
    const weir_record record{sizeof(record), 0, timestamp, raw(key_bytes), raw(value_bytes), raw(headers_bytes)};
    if (give(testing_, port, into.value_or(static_cast<std::uint32_t>(shard)), &record) != WEIR_OK) {
      throw Failed(std::string("the stage has no input port \"") + port + "\", or not so many shards");
    }
  }
  static weir_bytes raw(const std::string& bytes) {
    return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
  }
  static std::string text(weir_bytes bytes) { return {reinterpret_cast<const char*>(bytes.data), bytes.size}; }
  void check() {
    if (const char* sentence = weir_testing_failure(testing_)) throw Failed(sentence);
  }

  weir_testing* testing_ = nullptr;
};

}  // namespace weir::testing

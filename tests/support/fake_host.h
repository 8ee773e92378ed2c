// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dlfcn.h>

#include <cstring>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/abi.h"
#include "weir/json.h"
#include "weir/json_reader.h"

/// What the worker keeps of a split: the host's side of the ABI's opaque types.
struct weir_split {
  std::string id;
  std::string position;
};
struct weir_split_list {
  std::vector<std::string> ids;
};

namespace weir::testing_host {

inline BytesView view(std::string_view bytes) { return std::as_bytes(std::span(bytes.data(), bytes.size())); }
inline weir_bytes raw(std::string_view bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}
inline std::string text(weir_bytes bytes) { return {reinterpret_cast<const char*>(bytes.data), bytes.size}; }

/// JSON to MessagePack, for tests; {"$binary": ...} is binary.
inline std::string msgpack(std::string_view json) {
  std::string bytes;
  JsonReader reader(JsonReader::Binary::kDecode);
  if (!reader.read(json, bytes)) throw std::runtime_error("test: " + reader.error() + " in " + std::string(json));
  return bytes;
}
inline std::string json(std::string_view msgpack) {
  std::string out;
  if (!JsonWriter(out).value(view(msgpack))) throw std::runtime_error("test: malformed MessagePack");
  return out;
}

struct Fed {
  std::string key = "\xc0";  ///< MessagePack
  std::string value;
  Timestamp timestamp = 0;
  std::string headers;
};
inline Fed fed(std::string_view key, std::string_view value, Timestamp timestamp = 0) {
  return {msgpack(key), msgpack(value), timestamp, ""};
}

struct Emitted {
  std::uint32_t port = 0;
  std::uint32_t record = 0;  ///< the index of the record it belongs to
  std::string key;
  std::string value;
  Timestamp timestamp = 0;
  std::string headers;
};

/// Drives one instance of a stage of a real library through the C boundary, as a worker does, but keeps everything in
/// memory: outputs, state, positions. A record that fails loses its outputs, and the batch goes on behind it.
class FakeHost {
 public:
  FakeHost(const std::string& library, std::string_view stage, std::string_view config = "{}", std::uint32_t shard = 0)
      : descriptor_(find(library, stage)) {
    table_.struct_size = sizeof(table_);
    table_.abi_minor = WEIR_ABI_MINOR;
    table_.emit = emit;
    table_.fail = fail;
    table_.log = log;
    table_.state_get = [](weir_context*, weir_bytes, weir_bytes, weir_bytes*) -> int { return WEIR_EMPTY; };
    table_.state_put = state_put;
    table_.state_erase = state_erase;
    table_.watermark = [](weir_context* context, std::int64_t time) { of(context).watermarks.push_back(time); };
    table_.split_add = [](weir_split_list* list, weir_bytes id) -> int {
      list->ids.push_back(text(id));
      return WEIR_OK;
    };
    table_.split_id = [](const weir_split* split) { return raw(split->id); };
    table_.split_position = [](const weir_split* split) { return raw(split->position); };
    table_.split_set_position = [](weir_split* split, weir_bytes position) { split->position = text(position); };
    table_.count = [](weir_context* context, const char* name, std::uint64_t by) { of(context).counted[name] += by; };
    context_.struct_size = sizeof(weir_context);
    context_.host = &table_;
    context_.watermark = WEIR_TIME_MIN;
    context_.workers = 1;
    context_.shard = shard;
    context_.owner = this;
    self_ = descriptor_.create(&context_, config.data(), config.size());
  }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;
  ~FakeHost() {
    if (self_ != nullptr) descriptor_.destroy(self_);
  }

  [[nodiscard]] bool created() const { return self_ != nullptr; }
  [[nodiscard]] const weir_descriptor& descriptor() const { return descriptor_; }
  weir_context& context() { return context_; }

  std::vector<Emitted> outputs;
  std::vector<std::string> errors;  ///< of records, in order
  std::string sentence;             ///< of the last call that failed
  std::vector<std::string> lines;   ///< of the log
  std::map<std::string, std::uint64_t> counted;
  std::vector<std::int64_t> watermarks;
  /// What commits have said of state: (name, key) -> value, MessagePack.
  std::map<std::pair<std::string, std::string>, std::string> state;
  /// The host refuses emits from this number of outputs on.
  std::size_t outputs_max = SIZE_MAX;
  /// The transaction is full after so many outputs.
  std::size_t transaction_outputs = SIZE_MAX;

  /// Feeds a batch through process or write.
  int feed(const std::vector<Fed>& records, std::uint32_t port = 0) {
    const std::string bytes = encode_batch(records);
    weir_batch batch{};
    batch.struct_size = sizeof(batch);
    batch.count = static_cast<std::uint32_t>(records.size());
    batch.port = port;
    batch.shard = context_.shard;
    batch.offset = offset_;
    batch.records = raw(bytes);
    batch.stream = "stream";
    offset_ += records.size();
    std::uint32_t first = 0;
    while (first < batch.count) {
      begin_transaction();
      std::uint32_t done = first;
      const auto work = descriptor_.kind == WEIR_KIND_SINK ? descriptor_.write : descriptor_.process;
      const int answer = work(self_, &context_, &batch, first, &done);
      if (answer == WEIR_OK) {
        if (done <= first) throw std::runtime_error("test: process answered without progress");
        first = done;
        continue;
      }
      if (answer == WEIR_FATAL) return answer;
      if (context_.record != done) throw std::runtime_error("test: record and done disagree");
      while (outputs.size() > call_start_ && outputs.back().record == done) outputs.pop_back();
      errors.push_back(sentence);
      first = done + 1;
    }
    return WEIR_OK;
  }

  /// Calls finish until it is done; returns how many transactions that took. Errors: throws the sentence.
  int finish() {
    for (int calls = 1;; ++calls) {
      begin_transaction();
      const int answer = descriptor_.finish(self_, &context_);
      if (answer < 0) throw std::runtime_error(sentence);
      commit();
      if (answer == WEIR_OK) return calls;
    }
  }

  /// Hands the changes of state to `state`.
  void commit() {
    if (descriptor_.state_flush != nullptr && descriptor_.state_flush(self_, &context_) != WEIR_OK) {
      throw std::runtime_error(sentence);
    }
  }
  /// The shard leaves this worker.
  void drop(std::uint32_t shard) { descriptor_.state_drop(self_, shard); }
  /// Restores what another instance committed. The answer of the first call that failed, or WEIR_OK.
  int restore(const FakeHost& other) {
    state = other.state;
    for (const auto& [place, value] : other.state) {
      const int answer = descriptor_.state_load(self_, &context_, raw(place.first), raw(place.second), raw(value));
      if (answer != WEIR_OK) return answer;
    }
    return WEIR_OK;
  }

  /// The splits that a source names. Errors: throws the sentence.
  std::vector<std::string> splits() {
    weir_split_list list;
    const int answer = descriptor_.enumerate(self_, &context_, &list);
    if (answer < 0) throw std::runtime_error(sentence);
    return list.ids;
  }
  int read(weir_split& split) {
    begin_transaction();
    return descriptor_.read(self_, &context_, &split);
  }
  /// Reads until the split is empty or has ended. Errors: throws the sentence.
  int read_all(weir_split& split) {
    while (true) {
      const int answer = read(split);
      if (answer < 0) throw std::runtime_error(sentence);
      if (answer != WEIR_MORE) return answer;
    }
  }

  int open(std::string_view position) { return descriptor_.open(self_, &context_, raw(position)); }
  void close() { descriptor_.close(self_, &context_); }
  /// The position to commit. Errors: throws the sentence.
  std::string flush() {
    weir_bytes position{};
    if (descriptor_.flush(self_, &context_, &position) != WEIR_OK) throw std::runtime_error(sentence);
    return text(position);
  }

  /// Outputs as JSON, `KEY VALUE`, in order; and sorted.
  [[nodiscard]] std::vector<std::string> pairs() const {
    std::vector<std::string> said;
    said.reserve(outputs.size());
    for (const Emitted& output : outputs) said.push_back(json(output.key) + " " + json(output.value));
    return said;
  }
  [[nodiscard]] std::multiset<std::string> sorted_pairs() const {
    const auto said = pairs();
    return {said.begin(), said.end()};
  }

 private:
  struct FakeContext : weir_context {
    FakeHost* owner = nullptr;
  };
  static FakeHost& of(weir_context* context) { return *static_cast<FakeContext*>(context)->owner; }

  static const weir_descriptor& find(const std::string& library, std::string_view stage) {
    void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays loaded until the test ends
    if (handle == nullptr) throw std::runtime_error(dlerror());
    const auto describe = reinterpret_cast<const weir_library* (*)()>(dlsym(handle, WEIR_LIBRARY_SYMBOL));
    if (describe == nullptr) throw std::runtime_error(library + " exports no " WEIR_LIBRARY_SYMBOL);
    const weir_library* described = describe();
    for (std::uint32_t i = 0; i < described->stage_count; ++i) {
      if (described->stages[i]->name == stage) return *described->stages[i];
    }
    throw std::runtime_error(library + " has no stage " + std::string(stage));
  }

  static std::string encode_batch(const std::vector<Fed>& records) {
    std::string bytes;
    const auto put = [&](const auto& number) { bytes.append(reinterpret_cast<const char*>(&number), sizeof(number)); };
    for (const Fed& record : records) {
      const auto key_size = static_cast<std::uint32_t>(record.key.size());
      put(record.headers.empty() ? key_size : key_size | WEIR_RECORD_HAS_HEADERS);
      put(static_cast<std::uint32_t>(record.value.size()));
      put(record.timestamp);
      bytes += record.key + record.value;
      if (record.headers.empty()) continue;
      put(static_cast<std::uint32_t>(record.headers.size()));
      bytes += record.headers;
    }
    return bytes;
  }

  void begin_transaction() {
    context_.stop = 0;
    in_transaction_ = 0;
    call_start_ = outputs.size();
  }

  static int emit(weir_context* context, std::uint32_t port, const weir_record* record) {
    FakeHost& host = of(context);
    if (host.outputs.size() >= host.outputs_max) {
      host.sentence = "refused by the host";
      return WEIR_ERROR;
    }
    host.outputs.push_back({port, context->record, record->key.data == nullptr ? "\xc0" : text(record->key),
                            text(record->value), record->timestamp, text(record->headers)});
    if (++host.in_transaction_ >= host.transaction_outputs) context->stop = 1;
    return WEIR_OK;
  }
  static void fail(weir_context* context, const char* sentence, std::size_t size) {
    of(context).sentence.assign(sentence, size);
  }
  static void log(weir_context* context, int, const char* line, std::size_t size) {
    of(context).lines.emplace_back(line, size);
  }
  static int state_put(weir_context* context, weir_bytes name, weir_bytes key, weir_bytes value) {
    of(context).state[{text(name), text(key)}] = text(value);
    return WEIR_OK;
  }
  static int state_erase(weir_context* context, weir_bytes name, weir_bytes key) {
    of(context).state.erase({text(name), text(key)});
    return WEIR_OK;
  }

  const weir_descriptor& descriptor_;
  weir_host table_{};
  FakeContext context_{};
  void* self_ = nullptr;
  std::uint64_t offset_ = 0;
  std::size_t in_transaction_ = 0;
  std::size_t call_start_ = 0;  ///< the outputs before it are those of earlier calls
};

}  // namespace weir::testing_host

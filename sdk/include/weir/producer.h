// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "weir/encode.h"

namespace weir {

/// Whether something was done, or a sentence for a person. Must be looked at.
class [[nodiscard]] ProducerStatus {
 public:
  ProducerStatus() = default;
  static ProducerStatus failed(std::string sentence, std::uint64_t record = 0) {
    ProducerStatus status;
    status.message_ = std::move(sentence);
    status.record_ = record;
    return status;
  }
  [[nodiscard]] bool ok() const { return message_.empty(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const std::string& message() const { return message_; }
  /// The number of the record that the broker refused; 0 where it is not about one record. With a name a record's
  /// number is the one that it has under the name, else 1 is the first that was published here.
  [[nodiscard]] std::uint64_t record() const { return record_; }

 private:
  std::string message_;
  std::uint64_t record_ = 0;
};

/// Publishes records from any program to a stream with `"external": "in"` of a running topology. Link weir_client.
///
///     #include <weir/producer.h>
///
///     int main() {
///       weir::Producer producer(".weir/clicks", "clicks", {.name = "web-1"});
///       for (int i = 0; i < 1000; ++i) {
///         if (auto status = producer.publish("user", i); !status) return std::puts(status.message().c_str()), 1;
///       }
///       return producer.flush(std::chrono::seconds(10)) ? 0 : 1;   // all of them are durable now
///     }
///
/// With a name each record has a number, 1 for the first that was ever published under the name, and is taken exactly
/// once, whatever dies: a program that starts again asks last() and goes on behind it. A second producer of the name
/// ends the first. Without a name a record may arrive twice when the connection or the broker fails at a bad moment.
///
/// When the broker ends, the producer waits for the next one and sends again what was not acknowledged. It works only
/// within its calls, on the caller's thread, and starts none of its own but ZeroMQ's; what is published while many
/// records are under way goes out with a later call, at the latest with flush(). One thread at a time.
class Producer {
 public:
  struct Options {
    std::string name = {};               ///< at most 255 bytes; "" publishes at least once
    std::size_t window_bytes = 1 << 20;  ///< unacknowledged records that are held; the broker may permit less
    /// How long the broker may be gone or silent before a call gives up. A stream that is full is not silence: publish
    /// then waits as long as it takes.
    std::chrono::milliseconds patience = std::chrono::seconds(10);
  };

  /// `where` is the data directory of the topology, or the broker's endpoint (ipc://..., tcp://...). Touches nothing.
  Producer(std::string where, std::string stream, Options options);
  Producer(std::string where, std::string stream) : Producer(std::move(where), std::move(stream), Options()) {}
  /// Does not wait: what is not acknowledged may be lost. Call flush().
  ~Producer();
  Producer(Producer&&) noexcept;
  Producer& operator=(Producer&&) noexcept;

  /// Reaches the broker; the other calls do it by themselves. Errors: nothing runs there, no such stream.
  ProducerStatus open();

  /// Takes a record; key and value are anything that encode() takes. Waits while the window is full. The timestamp
  /// (event time) is the current time unless given. A record that the broker refuses is named by the status of this or
  /// a later call (record()), once all before it are acknowledged; it and what came behind it are not taken, then or
  /// later. One that is too large is refused at once and changes nothing.
  template <typename Key, typename Value>
  ProducerStatus publish(const Key& key, const Value& value, std::optional<Timestamp> timestamp = {}) {
    std::string packed_key;
    std::string packed_value;
    encode(packed_key, key);
    encode(packed_value, value);
    return publish_packed(packed_key, packed_value, timestamp);
  }
  /// The same with MessagePack bytes: one value each; headers are a map, or "" for none.
  ProducerStatus publish_packed(std::string_view key, std::string_view value, std::optional<Timestamp> timestamp = {},
                                std::string_view headers = {});

  /// Waits until all that was taken is acknowledged: as durable as the stream is.
  ProducerStatus flush(std::chrono::milliseconds deadline);
  /// flush(), then ends the stream: no producer's records are taken any more.
  ProducerStatus end(std::chrono::milliseconds deadline);

  /// The number of the last record that the broker had taken under this name when open() reached it; 0 for none.
  [[nodiscard]] std::uint64_t last() const;
  /// The largest record that the broker takes, in bytes of MessagePack, as it said when open() reached it.
  [[nodiscard]] std::size_t record_bytes_max() const;
  /// Records taken and not yet acknowledged.
  [[nodiscard]] std::uint64_t unacknowledged() const;
  /// Records of this object's that the broker has acknowledged.
  [[nodiscard]] std::uint64_t acknowledged() const;

 private:
  class Session;
  std::unique_ptr<Session> session_;
};

}  // namespace weir

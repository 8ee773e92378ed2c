// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "weir/record.h"

namespace weir {

/// Whether something was done, or a sentence for a person. Must be looked at.
class [[nodiscard]] ConsumerStatus {
 public:
  ConsumerStatus() = default;
  static ConsumerStatus failed(std::string sentence) {
    ConsumerStatus status;
    status.message_ = std::move(sentence);
    return status;
  }
  [[nodiscard]] bool ok() const { return message_.empty(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const std::string& message() const { return message_; }

 private:
  std::string message_;
};

/// Consumes a stream with `"external": "out"` (or `"both"`) of a running topology from any program, under the name of a
/// group. Link weir_client.
///
///     #include <weir/consumer.h>
///
///     int main() {
///       weir::Consumer consumer(".weir/clicks", "sums", "billing");
///       while (const weir::RecordView* record = consumer.poll(std::chrono::seconds(10))) {
///         std::printf("%s: %ld\n", record->key<std::string>().c_str(), record->value<long>());
///         consumer.acknowledge(*record);
///       }
///       if (auto status = consumer.close(std::chrono::seconds(10)); !status) return
///       std::puts(status.message().c_str()), 1; return consumer.ended() ? 0 : 1;
///     }
///
/// The journal keeps how far each group has acknowledged, shard by shard, so that a program that starts again, or
/// another one of the group, goes on there. Several consumers of a group share the shards of the stream; a shard has
/// one of them at a time, in order. What was not acknowledged when its consumer died, fell silent or left comes again,
/// to whoever has the shard then: at least once. It is exactly once for a program that keeps shard and offset of the
/// last record with what it did, in one transaction of its own, and gives them as Options::positions when it starts.
///
/// A record is given only once it is as durable as its stream. Within the life of one object none is given twice, also
/// when the broker ends: the consumer waits for the next one and goes on.
///
/// It works only within its calls, on the caller's thread, and starts none of its own but ZeroMQ's. So who works on a
/// record for longer than Options::silence must call keep_alive() meanwhile. One thread at a time.
class Consumer {
 public:
  struct Options {
    /// A group that is new begins at the oldest record that is kept, or behind the newest. Of no effect on others.
    enum class From : std::uint8_t { kStart, kEnd };
    From from = From::kStart;
    /// Where the program is by its own account: by shard, the offset behind the last record that it knows. What is
    /// before is acknowledged without being given.
    std::map<std::uint32_t, std::uint64_t> positions = {};
    std::size_t window_bytes = 1 << 20;    ///< records that are under way or wait here, at most, ...
    std::size_t window_records = 1 << 16;  ///< ... and so many; one record goes through whatever its size
    /// The broker gives the shards to others when it has heard nothing for so long: 1 s to 1 h.
    std::chrono::milliseconds silence = std::chrono::seconds(30);
    /// How long the broker may be gone or silent before a call gives up.
    std::chrono::milliseconds patience = std::chrono::seconds(10);
  };

  /// `where` is the data directory of the topology, or the broker's endpoint (ipc://..., tcp://...). Touches nothing.
  /// `group` is [a-z][a-z0-9_-]{0,62}; one that the stream does not know is entered.
  Consumer(std::string where, std::string stream, std::string group, Options options);
  Consumer(std::string where, std::string stream, std::string group)
      : Consumer(std::move(where), std::move(stream), std::move(group), Options()) {}
  /// Does not wait: what was not acknowledged durably comes again. Call close().
  ~Consumer();
  Consumer(Consumer&&) noexcept;
  Consumer& operator=(Consumer&&) noexcept;

  /// Reaches the broker and enters the group; poll() does it by itself. Errors: nothing runs there, no such stream, it
  /// is not read from outside, a name that is none.
  ConsumerStatus open();

  /// The next record, with its shard and offset; waits for it until `deadline`. It and all views of it hold until the
  /// next call of poll(). Null where none came: then ended() says whether none will come any more, and status() whether
  /// it failed; neither: try again.
  const RecordView* poll(std::chrono::milliseconds deadline);

  /// The record, and all of its shard before it, are done. Takes effect with this or a later call; flush() waits for
  /// it.
  void acknowledge(const RecordView& record) { acknowledge(record.shard(), record.offset() + 1); }
  /// The same by the offset behind the last record that is done. REQUIRES: those records were given by this object.
  void acknowledge(std::uint32_t shard, std::uint64_t offset);

  /// Waits until all that was acknowledged is durable.
  ConsumerStatus flush(std::chrono::milliseconds deadline);
  /// flush(), then leaves the group, so that others get its shards at once. Nothing may be polled behind it.
  ConsumerStatus close(std::chrono::milliseconds deadline);
  /// Tells the broker that this consumer is alive, and does what is due. Never waits.
  void keep_alive();

  /// The stream has ended, and the group has acknowledged all of it, durably.
  [[nodiscard]] bool ended() const;
  /// What the last call failed with.
  [[nodiscard]] const ConsumerStatus& status() const;
  /// Records that poll() gave.
  [[nodiscard]] std::uint64_t given() const;
  /// open() entered the group: nobody had consumed under its name.
  [[nodiscard]] bool is_new() const;

 private:
  class Session;
  std::unique_ptr<Session> session_;
};

}  // namespace weir

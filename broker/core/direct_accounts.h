// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/entry.h"
#include "sdk/base/ids.h"

namespace weir::core {

/// What became of the records that workers send each other past the broker, incarnation by incarnation, in this life of
/// it: emitted by a transaction, then taken by one of a consumer, or lost. A record is lost only once nobody can take
/// it any more: with a producer that is gone, when every consumer that knew it has said that it is through with it;
/// with a consumer that is gone, when each producer has said how much it ever sent there. So at any time each record is
/// counted once: on its way, taken, or lost. Thread: the core's.
class DirectAccounts {
 public:
  /// A transaction of `producer` emits so much. What it emitted is not sent before.
  void emit(Incarnation producer, std::uint32_t stream, std::uint64_t records);
  /// A transaction of `consumer` has consumed so much that `producer` sent, and has found `lost` missing. Answers what
  /// is wrong with that; "" where it was entered.
  std::string take(Incarnation consumer, Incarnation producer, std::uint32_t stream, std::uint64_t records,
                   std::uint64_t lost);
  /// Whether take() would enter it.
  [[nodiscard]] std::string judge(Incarnation producer, std::uint32_t stream, std::uint64_t records,
                                  std::uint64_t lost) const;

  /// It is dead or fenced. Each of `consumers` may still take what it was sent, until it is through().
  void producer_gone(Incarnation producer, const std::set<Incarnation>& consumers);
  /// The consumer has committed all that it was ever sent by those, and takes nothing more from them.
  void through(Incarnation consumer, const std::set<Incarnation>& producers);
  /// It is dead or fenced.
  void consumer_gone(Incarnation consumer);
  /// The producer sends nothing more to the consumer, and has sent so much on that link in all. `gone`: the consumer
  /// takes none of it any more. Answers what is wrong with that; "" where it was entered.
  std::string withdrawn(Incarnation producer, Incarnation consumer, bool gone, std::uint32_t stream,
                        std::uint64_t sent);

  /// Of what the producer emitted, what is neither taken nor lost.
  [[nodiscard]] std::uint64_t on_the_way(Incarnation producer) const;
  /// Nothing is on its way to the consumer, as far as it is withdrawn from it.
  [[nodiscard]] bool quiet(Incarnation consumer) const;
  /// What was found lost since the last call, by stream, but for what take() was told.
  std::vector<Lost> collect();

 private:
  struct Link {
    std::uint64_t taken = 0;  ///< or missed
    std::optional<std::uint64_t> sent;
  };
  struct Outflow {
    std::uint64_t emitted = 0;
    std::uint64_t settled = 0;  ///< taken or lost
    std::map<Incarnation, Link> links;
  };
  struct Producer {
    std::map<std::uint32_t, Outflow> streams;
    bool gone = false;
    std::set<Incarnation> known_to;  ///< once it is gone: consumers that may still take from it
  };
  void lose(std::uint32_t stream, Outflow& outflow, std::uint64_t records);
  /// Of a producer that nobody takes from any more, all that is left is lost.
  void close(std::map<Incarnation, Producer>::iterator producer);
  void close_link(std::uint32_t stream, Outflow& outflow, Incarnation consumer);

  std::map<Incarnation, Producer> producers_;
  std::map<std::uint32_t, std::uint64_t> lost_;
};

}  // namespace weir::core

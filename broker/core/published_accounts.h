// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/core/entry.h"
#include "sdk/base/ids.h"

namespace weir::core {

/// What became of the records of `pub_sub` streams, in this life of the broker: each is meant for every worker that
/// read the stream when it was emitted, and for each of them it is on its way, taken, or lost. Like DirectAccounts, but
/// that nothing goes to another in a reader's place: so it is known at once what a reader that is gone has not taken.
/// Thread: the core's.
class PublishedAccounts {
 public:
  /// A transaction of `producer` emits so many records, to each of `readers`.
  void emit(Incarnation producer, std::uint32_t stream, std::uint64_t records, const std::vector<Incarnation>& readers);
  /// So many were emitted for readers that are gone, or for nobody.
  void lose(std::uint32_t stream, std::uint64_t records);
  /// A transaction of `reader` has consumed so much that `producer` sent, and has found `lost` missing. Answers what is
  /// wrong with that; "" where it was entered.
  std::string take(Incarnation reader, Incarnation producer, std::uint32_t stream, std::uint64_t records,
                   std::uint64_t lost);
  /// Whether take() would enter it.
  [[nodiscard]] std::string judge(Incarnation reader, Incarnation producer, std::uint32_t stream, std::uint64_t records,
                                  std::uint64_t lost) const;

  /// It is dead or fenced. Each of `readers` may still take what it was sent, until it is through().
  void producer_gone(Incarnation producer, const std::set<Incarnation>& readers);
  /// The reader has committed all that it was ever sent by those, and takes nothing more from them.
  void through(Incarnation reader, const std::set<Incarnation>& producers);
  /// It is dead or fenced.
  void reader_gone(Incarnation reader);
  /// The producer sends nothing more to the reader, and has sent so many records in all. What was meant for it beyond
  /// that is lost. Answers what is wrong; "" where it was entered.
  std::string withdrawn(Incarnation producer, Incarnation reader, std::uint32_t stream, std::uint64_t sent);

  /// Of what the producer emitted, what is neither taken nor lost, over all readers.
  [[nodiscard]] std::uint64_t on_the_way(Incarnation producer) const;
  /// Nothing is on its way to the reader, as far as it is withdrawn from it.
  [[nodiscard]] bool quiet(Incarnation reader) const;
  /// What was found lost since the last call, by stream, but for what take() was told.
  std::vector<Lost> collect();

 private:
  struct Link {
    std::uint64_t meant = 0;    ///< records emitted for it
    std::uint64_t settled = 0;  ///< of them, taken or lost
    bool withdrawn = false;
  };
  struct LinkName {
    Incarnation producer;
    Incarnation reader;
    std::uint32_t stream = 0;
    friend auto operator<=>(const LinkName&, const LinkName&) = default;
  };
  using Links = std::map<LinkName, Link>;

  /// All that is left on it is lost. Answers what comes behind it.
  Links::iterator close(Links::iterator link);

  Links links_;
  std::set<Incarnation> gone_;  ///< producers that some reader may still take from
  std::map<std::uint32_t, std::uint64_t> lost_;
};

}  // namespace weir::core

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/simulation/world.h"

namespace weir::simulation {

/// A program outside that publishes numbers under a name, as WIRE.md says: a window of messages, a resend of what was
/// not acknowledged, and "open" after every silence, refusal or restart. What message k holds follows from k, so that
/// it goes on behind the "last" that the broker names without remembering anything.
class ModelProducer {
 public:
  ModelProducer(World& world, std::uint32_t index);

  void work();
  void on_answer(BytesView message);
  /// The process is gone and starts again; it remembers nothing.
  void die();

  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] bool all_acknowledged() const { return complete_; }
  [[nodiscard]] const core::Client& client() const { return client_; }

 private:
  void open();
  void publish(std::uint64_t number);

  World& world_;
  const std::uint32_t index_;
  const std::string name_;
  std::uint64_t lives_ = 0;
  core::Client client_;
  bool opened_ = false;
  std::uint64_t session_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t sent_most_ = 0;  ///< over all lives
  std::uint64_t acknowledged_ = 0;
  Monotonic heard_{0};
  bool complete_ = false;  ///< its last message was acknowledged once
  bool done_ = false;      ///< the stream has ended
};

}  // namespace weir::simulation

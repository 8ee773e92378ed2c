// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace weir::simulation {

/// Numbers of workers that a person has asked for, and was answered: all that the oracle knows of them.
class ScalesAsked {
 public:
  void ask(const std::string& client, std::uint32_t stage, std::uint32_t workers) {
    waiting_[client] = {stage, workers};
    numbers_[stage].open.insert(workers);
  }
  [[nodiscard]] bool waits(const std::string& client) const { return waiting_.contains(client); }
  /// It holds. One broker answers in the order in which it was asked, so that no earlier wish comes behind it.
  void done(const std::string& client) {
    const auto [stage, workers] = waiting_.extract(client).mapped();
    numbers_[stage].certain = workers;
    numbers_[stage].open.clear();
    for (const auto& [other, wish] : waiting_) {
      if (wish.first == stage) numbers_[stage].open.insert(wish.second);
    }
  }
  void refused(const std::string& client) { waiting_.erase(client); }
  /// The broker has died: nobody is answered any more. So many waited.
  std::uint64_t forget_waiting() { return std::exchange(waiting_, {}).size(); }
  /// The file says `workers`, where it said `before` when the broker was last there. Until that is on disk too, a
  /// broker that dies over it leaves what was.
  void revise(std::uint32_t stage, std::uint32_t before, std::uint32_t workers) {
    if (before == workers) return;
    Number& number = numbers_[stage];
    number.open.insert(number.certain);
    number.certain = workers;
  }
  /// Whether a broker that starts may find this number.
  [[nodiscard]] bool may_find(std::uint32_t stage, std::uint32_t workers) const {
    const Number& number = numbers_.at(stage);
    return workers == number.certain || number.open.contains(workers);
  }
  /// It has found this number, which holds now.
  void found(std::uint32_t stage, std::uint32_t workers) {
    numbers_[stage].certain = workers;
    numbers_[stage].open.clear();
  }

 private:
  struct Number {
    std::uint32_t certain = 0;
    std::set<std::uint32_t> open;  ///< asked for since, and not answered
  };
  std::map<std::uint32_t, Number> numbers_;                                 ///< by stage
  std::map<std::string, std::pair<std::uint32_t, std::uint32_t>> waiting_;  ///< by client
};

}  // namespace weir::simulation

// SPDX-License-Identifier: Apache-2.0
// Loops: which units records go round, and when none can any more.
#include <algorithm>

#include "broker/core/ledger.h"

namespace weir::core {

bool Ledger::writes(const UnitState& unit, std::uint32_t stream) const {
  const auto& outputs = unit.outputs();
  return !unit.resting() && std::find(outputs.begin(), outputs.end(), stream) != outputs.end();
}

bool Ledger::reads(const UnitState& unit, std::uint32_t stream) const {
  const auto& inputs = unit.inputs();
  const auto input = std::find(inputs.begin(), inputs.end(), stream);
  return input != inputs.end() && !unit.rests(static_cast<std::uint32_t>(input - inputs.begin()));
}

void Ledger::find_loops() {
  loop_of_.assign(streams_.size(), 0);
  for (UnitState& unit : units_) unit.loop = 0;
  using Units = std::vector<std::uint32_t>;
  std::vector<Units> readers(streams_.size());
  std::vector<Units> writers(streams_.size());
  for (std::uint32_t unit = 0; unit < units_.size(); ++unit) {
    for (const std::uint32_t stream : units_[unit].inputs()) {
      if (reads(units_[unit], stream)) readers[stream].push_back(unit);
    }
    for (const std::uint32_t stream : units_[unit].outputs()) {
      if (writes(units_[unit], stream)) writers[stream].push_back(unit);
    }
  }
  // Units that can be come to from `next`, forwards or against the flow.
  const auto spread = [&](Units next, bool forwards) {
    std::vector<bool> reached(units_.size());
    for (const std::uint32_t unit : next) reached[unit] = true;
    while (!next.empty()) {
      const UnitState& from = units_[next.back()];
      next.pop_back();
      for (const std::uint32_t stream : forwards ? from.outputs() : from.inputs()) {
        for (const std::uint32_t unit : forwards ? readers[stream] : writers[stream]) {
          if (!reached[unit]) next.push_back(unit);
          reached[unit] = true;
        }
      }
    }
    return reached;
  };
  std::uint32_t loops = 0;
  for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
    if (!topology_.streams[stream].loop || topology_.streams[stream].resting) continue;
    const std::vector<bool> behind = spread(readers[stream], true);
    const std::vector<bool> before = spread(writers[stream], false);
    // Loops that share a unit are one.
    const std::uint32_t loop = ++loops;
    std::vector<std::uint32_t> merged;
    for (std::size_t unit = 0; unit < units_.size(); ++unit) {
      if (!behind[unit] || !before[unit]) continue;
      if (units_[unit].loop != 0) merged.push_back(units_[unit].loop);
      units_[unit].loop = loop;
    }
    for (UnitState& unit : units_) {
      if (std::find(merged.begin(), merged.end(), unit.loop) != merged.end()) unit.loop = loop;
    }
  }
  if (loops == 0) return;
  for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
    for (const std::uint32_t writer : writers[stream]) {
      for (const std::uint32_t reader : readers[stream]) {
        if (units_[writer].loop != 0 && units_[reader].loop == units_[writer].loop)
          loop_of_[stream] = units_[writer].loop;
      }
    }
  }
}

bool Ledger::worked_off(std::uint32_t loop) const {
  for (const UnitState& unit : units_) {
    if (unit.loop != loop) continue;
    if (unit.records_backlog != 0) return false;
    for (const std::uint32_t stage : unit.stages()) {
      if (!requeued_[stage].empty()) return false;
    }
    for (std::uint32_t input = 0; input < unit.inputs().size(); ++input) {
      if (unit.rests(input)) continue;
      const std::uint32_t stream = unit.inputs()[input];
      if (loop_of_[stream] != loop) {
        if (!streams_[stream].ended) return false;
        continue;
      }
      if (topology_.streams[stream].external_in && !streams_[stream].external_ended) return false;
      for (const UnitState& writer : units_) {
        if (writer.loop != loop && writes(writer, stream) && !writer.finished) return false;
      }
    }
  }
  return true;
}

bool Ledger::loop_ended(std::uint32_t loop) const {
  for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
    if (loop != 0 && loop_of_[stream] == loop && topology_.streams[stream].loop) return streams_[stream].ended;
  }
  return false;
}

}  // namespace weir::core

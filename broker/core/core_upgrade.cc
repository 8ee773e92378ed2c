// SPDX-License-Identifier: Apache-2.0
// The library that a stage runs with, which a person changes while it runs: workers with the new one come beside those
// with the old one, and take their shards one at a time.
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/core.h"
#include "sdk/wire/library_hash.h"

namespace weir::core {

using wire::Refusal;

namespace {

LibraryVersion version_of(const wire::MapReader& map) {
  return {map.text("hash"), map.text("name"), map.text("origin")};
}

/// Its name, and what tells it from another one that has the same.
std::string told(const LibraryVersion& version, const LibraryVersion& other) {
  return version.name != other.name ? version.name : fmt::format("{} ({:.8})", version.name, version.hash);
}

void put(wire::MapWriter& map, const std::string& prefix, const LibraryVersion& version) {
  map.put(prefix + "hash", version.hash);
  map.put(prefix + "name", version.name);
  map.put(prefix + "origin", version.origin);
}

}  // namespace

std::string Core::libraries_wanted(std::uint32_t index) const {
  const UnitState& unit = ledger_.units()[index];
  const auto chosen = [&](std::uint32_t stage) { return ledger_.library(stage) != nullptr; };
  if (std::none_of(unit.stages().begin(), unit.stages().end(), chosen)) return "";
  std::map<std::string_view, std::string> by_name;
  for (const std::uint32_t stage : unit.stages()) {
    const StageLibrary* library = ledger_.library(stage);
    by_name[topology_.stages[stage].name] = library == nullptr ? "" : library->now.hash;
  }
  std::vector<std::string> hashes;
  for (auto& [name, hash] : by_name) hashes.push_back(std::move(hash));
  return wire::join_libraries(hashes);
}

bool Core::runs_what_is_wanted(const Worker& worker) const {
  return wire::libraries_fit(worker.libraries, libraries_wanted(worker.unit));
}

bool Core::any_outdated(std::uint32_t unit) const {
  if (libraries_wanted(unit).empty()) return false;
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.unit == unit && !entry.second.trial && !runs_what_is_wanted(entry.second);
  });
}

bool Core::upgrading(std::uint32_t index) const {
  if (libraries_wanted(index).empty() || ledger_.units()[index].finished) return false;
  if (any_outdated(index)) return true;
  const auto ready = std::count_if(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.unit == index && entry.second.state == Worker::State::kReady;
  });
  return ready < ledger_.workers(ledger_.units()[index].stage()) || shards_moving(index) != 0;
}

std::optional<std::string> Core::why_no_upgrade(std::uint32_t stage) const {
  const StageSpec& spec = topology_.stages[stage];
  const UnitState& unit = ledger_.units()[ledger_.unit_of(stage)];
  if (spec.resting) return fmt::format("\"{}\" rests: it is in the data directory, and not in the topology", spec.name);
  if (draining_ || stopping_) return "the topology is stopping: upgrade when it runs again";
  if (unit.finished) return fmt::format("stage \"{}\" has finished: a new library would find nothing to do", spec.name);
  if (!in_file_.contains(stage)) {
    return fmt::format(
        "no worker of stage \"{}\" is started by `weir run`: start those that you start yourself anew, "
        "one after the other, with the new library",
        spec.name);
  }
  for (const std::uint32_t stream : unit.inputs()) {
    if (!is_published(stream)) continue;
    return fmt::format(
        "stage \"{}\" takes what is published to \"{}\", each of its workers all of it: with old and "
        "new ones at once it would count double. Stop the topology and run it with the new library",
        spec.name, topology_.streams[stream].name);
  }
  return std::nullopt;
}

void Core::upgrade(const Client& client, const wire::MapReader& map) {
  const std::string name = map.text("stage");
  const StageSpec* spec = topology_.find_stage(name);
  if (spec == nullptr) {
    return refuse(client, Refusal::kUnknown,
                  fmt::format("the topology \"{}\" has no stage \"{}\"", topology_.name, name));
  }
  const auto stage = static_cast<std::uint32_t>(spec - topology_.stages.data());
  if (const auto why_not = why_no_upgrade(stage)) return refuse(client, Refusal::kInvalid, *why_not);
  const StageLibrary* known = ledger_.library(stage);
  const LibraryVersion runs = known != nullptr ? known->now : in_file_.at(stage);
  const bool back = map.integer("back", 0) != 0;
  const std::string hash = map.text("hash");
  // Said again to the successor of a broker that died over it, it is the same wish.
  const bool back_already = back && known != nullptr && hash == known->now.hash;
  if (back && !back_already && (known == nullptr || known->before.hash.empty() || hash != known->before.hash)) {
    return refuse(client, Refusal::kInvalid,
                  fmt::format("stage \"{}\" has nothing to go back to: it runs with {}, as {}", name, runs.name,
                              known == nullptr ? "the topology says" : "it did before the last upgrade"));
  }
  StageLibrary wanted;
  wanted.now = version_of(map);
  wanted.before = runs;
  wanted.in_file = in_file_.at(stage).hash;
  wanted.by = back ? StageLibrary::By::kBack : StageLibrary::By::kPerson;
  if (back) wanted.left = runs.hash;
  if (const std::string wrong = contradiction_of(wanted); !wrong.empty())
    return refuse(client, Refusal::kInvalid, "a request that " + wrong);
  const bool same = wanted.now.hash == runs.hash;
  const bool way_back = known != nullptr && wanted.now.hash == known->before.hash;
  if (!same && !way_back && any_outdated(ledger_.unit_of(stage))) {
    if (known != nullptr && known->by != StageLibrary::By::kPerson) {
      return refuse(client, Refusal::kAgain,
                    fmt::format("stage \"{}\" is going back to {}: wait until it is done", name,
                                libraries_told(ledger_.unit_of(stage))));
    }
    return refuse(client, Refusal::kAgain,
                  fmt::format("an upgrade of stage \"{}\" to {} is under way: wait until it is done, or go back (weir "
                              "upgrade {} --back)",
                              name, libraries_told(ledger_.unit_of(stage)), name));
  }
  if (!same && map.integer("dry_run", 0) == 0) want_library(stage, wanted, "a person wants it");
  wire::MapWriter answer("upgraded");
  answer.put("changed", std::uint64_t{same ? 0U : 1U});
  put(answer, "", wanted.now);
  put(answer, "before_", runs);
  letter_answers_.push_back({client, ledger_.next_sequence(), std::move(answer).finish()});
  settle_letters();
}

std::string Core::libraries_told(std::uint32_t unit) const {
  std::string names;
  for (const std::uint32_t stage : ledger_.units()[unit].stages()) {
    if (const StageLibrary* library = ledger_.library(stage); library != nullptr)
      names += (names.empty() ? "" : ", ") + told(library->now, library->before);
  }
  return names;
}

void Core::enter_library(std::uint32_t stage, const Upgraded& upgraded) {
  append({EntryType::kUpgraded, {}, stage, 0}, encode(upgraded), Durability::kFsync);
  UnitLeases& leases = leases_[ledger_.unit_of(stage)];
  leases.proving_since.reset();
  leases.dirty = true;
}

void Core::want_library(std::uint32_t stage, StageLibrary library, std::string why) {
  enter_library(stage, {Upgraded::What::kWanted, std::move(library)});
  outside_.notify({Notice::Kind::kUpgraded, stage, 0, 0, std::move(why), 0});
}

bool Core::go_back(std::uint32_t stage, const std::string& why) {
  const StageLibrary* known = ledger_.library(stage);
  if (known == nullptr || known->settled || known->before.hash.empty() || draining_ || stopping_) return false;
  StageLibrary back;
  back.now = known->before;
  back.in_file = known->in_file;
  back.by = StageLibrary::By::kItself;
  back.left = known->now.hash;
  back.why = fmt::format("{} was given up: {}", told(known->now, known->before), why);
  std::string sentence = back.why;
  want_library(stage, std::move(back), std::move(sentence));
  return true;
}

bool Core::laid_to_library(const Worker& worker, const std::string& why) {
  // Of several that give up at once the first has decided for all; who comes in its place shows whether it holds.
  if (!runs_what_is_wanted(worker)) return true;
  bool any = false;
  for (const std::uint32_t stage : ledger_.units()[worker.unit].stages()) any |= go_back(stage, why);
  return any;
}

void Core::on_upgrade_failed(std::uint32_t stage, const std::string& hash, const std::string& why, Monotonic now) {
  now_ = now;
  if (draining_ || stopping_) return;  // nobody is started again
  const StageLibrary* known = ledger_.library(stage);
  if (known == nullptr || known->now.hash != hash) return;  // it has been decided since
  if (go_back(stage, why)) return;
  const std::string& name = topology_.stages[stage].name;
  outside_.notify({Notice::Kind::kStageFailed, stage, 0, 0,
                   fmt::format("{}; \"{}\" has no library to go back to by itself", why, name), 0});
}

void Core::on_libraries(const std::map<std::uint32_t, LibraryVersion>& in_file, Monotonic now) {
  now_ = now;
  for (const auto& [stage, version] : in_file) {
    in_file_[stage] = version;
    const StageLibrary* known = ledger_.library(stage);
    if (known == nullptr || version.hash == known->now.hash || version.hash == known->in_file) continue;
    if (version.hash == known->left) continue;  // where it lies is no reason to come back to it
    // Whoever puts another library where the topology leads to wants that one.
    enter_library(stage, {Upgraded::What::kForgotten, {}});
    outside_.notify({Notice::Kind::kUpgraded, stage, 0, 0,
                     fmt::format("the topology leads to another {} than before", version.name), 0});
  }
}

LibraryInForce Core::library_of(std::uint32_t stage) const {
  LibraryInForce library;
  library.chosen = ledger_.library(stage);
  if (library.chosen != nullptr) {
    library.version = library.chosen->now;
  } else if (const auto own = in_file_.find(stage); own != in_file_.end()) {
    library.version = own->second;
  }
  const std::uint32_t unit = ledger_.unit_of(stage);
  if (library.chosen == nullptr || unit >= leases_.size()) return library;
  // Where nothing runs nothing moves: the next workers all start with it.
  library.moving = !library.chosen->settled && !options_.only_looks && upgrading(unit);
  library.workers_outdated =
      static_cast<std::uint32_t>(std::count_if(workers_.begin(), workers_.end(), [&](auto& entry) {
        return entry.second.unit == unit && !entry.second.trial && !runs_what_is_wanted(entry.second);
      }));
  return library;
}

bool Core::stuck_since(std::uint32_t unit, Monotonic since) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const Worker& worker = entry.second;
    return worker.unit == unit && !worker.trial && worker.accepted_at < since && !idle(worker);
  });
}

void Core::settle_upgrades() {
  for (std::uint32_t index = 0; index < leases_.size(); ++index) {
    const UnitState& unit = ledger_.units()[index];
    const auto unsettled = [&](std::uint32_t stage) {
      const StageLibrary* library = ledger_.library(stage);
      return library != nullptr && !library->settled;
    };
    if (unit.resting() || leases_[index].stopped || draining_ || stopping_) continue;
    if (std::none_of(unit.stages().begin(), unit.stages().end(), unsettled)) continue;
    std::optional<Monotonic>& since = leases_[index].proving_since;
    if (upgrading(index)) {
      since.reset();
    } else if (!since) {
      since = now_;
    } else if (now_ - *since >= options_.upgrade_proof && !stuck_since(index, *since)) {
      for (const std::uint32_t stage : unit.stages()) {
        if (!unsettled(stage)) continue;
        enter_library(stage, {Upgraded::What::kSettled, {}});
        outside_.notify({Notice::Kind::kUpgraded, stage, 0, 0, "its workers have proven themselves", 0});
      }
    }
  }
}

}  // namespace weir::core

// SPDX-License-Identifier: Apache-2.0
#include "broker/server/journal_check.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "broker/server/journal_salvage.h"
#include "broker/server/known_journal.h"
#include "broker/server/needs.h"
#include "broker/server/replay.h"
#include "broker/server/snapshot_file.h"

namespace weir::server {
namespace {

using journal::Damage;
using journal::DamageMeans;

class Checker {
 public:
  /// `directory`: what weir.json knows of the journal is compared; may be null.
  Checker(journal::Disk& disk, const Result<Topology>& topology, const RestingDir* directory)
      : disk_(disk), topology_(topology), directory_(directory) {}

  Result<Verdict> run() {
    auto examined = journal::examine(disk_);
    if (!examined.ok()) return examined.error();
    out_.journal = std::move(*examined);
    blame_checkpoints();
    if (!out_.journal.refusal && directory_ != nullptr && directory_->journal()) {
      const Status known = is_journal(out_.journal.history, directory_->path(), *directory_->journal());
      if (!known.ok()) {
        out_.journal.refusal = known.error();
        damage().push_back({DamageMeans::kStartRefused, "weir.json", 0, 0, 0, known.error().message});
      }
    }
    if (!topology_.ok()) {
      damage().push_back({DamageMeans::kStartRefused, "weir.json", 0, 0, 0, topology_.error().message});
    } else {
      if (!out_.journal.refusal) {
        if (Status done = go_through_the_start(); !done.ok()) return done.error();
      }
      find_snapshots_of_checkpoints();
    }
    if (Status done = look_at_snapshots(); !done.ok()) return done.error();
    return std::move(out_);
  }

 private:
  std::vector<Damage>& damage() { return out_.journal.damage; }

  /// Of two checkpoints a start does without either, but not without both.
  void blame_checkpoints() {
    const auto& known = out_.journal.checkpoints;
    const auto whole = [](const journal::CheckpointFacts& facts) { return facts.in_force && facts.whole; };
    if (!out_.journal.refusal || !out_.journal.history.checkpoint_before) return;
    if (std::any_of(known.begin(), known.end(), whole)) return;
    constexpr std::string_view kWithout = "; a start does without it";
    for (Damage& each : damage()) {
      if (each.means != DamageMeans::kHarmless || !each.what.ends_with(kWithout)) continue;
      each.means = DamageMeans::kStartRefused;
      each.what.resize(each.what.size() - kWithout.size());
      each.what += "; a start needs one of the two checkpoints";
    }
  }

  Status go_through_the_start() {
    journal::Recovery found;
    auto journal = journal::Journal::open_read_only(disk_, found);
    if (!journal.ok()) return journal.status();
    core::Ledger ledger(*topology_);
    if (Status replayed = replay(**journal, found, ledger); !replayed.ok()) {
      if (replayed.error().code == Code::kIo) return replayed;
      damage().push_back({DamageMeans::kStartRefused, "", 0, 0, 0, replayed.error().message});
      return {};
    }
    ledger.release();
    replayed_ = true;
    names_ = ledger.topology();
    snapshots_needed_ = snapshots_of(ledger);
    read_back(**journal, ledger);
    return {};
  }

  /// Snapshots that the checkpoints in force name: a start from the one before the newest needs its own; where a start
  /// is refused this is all that is known.
  void find_snapshots_of_checkpoints() {
    for (const journal::CheckpointFacts& facts : out_.journal.checkpoints) {
      if (!facts.in_force || !facts.whole) continue;
      core::Ledger ledger(*topology_);
      const auto bytes = journal::read_checkpoint_file(disk_, out_.journal.history.seed, facts.ref);
      if (bytes.ok() && ledger.decode_checkpoint(*bytes).ok()) snapshots_before_.merge(snapshots_of(ledger));
    }
  }

  /// Every entry that the broker will read, so that no other damage before the checkpoint matters.
  void read_back(journal::Journal& journal, const core::Ledger& ledger) {
    JournalReader reader(journal, disk_);
    const std::vector<Need> needs = needs_of(ledger);
    out_.needs = needs.size();
    std::vector<Damage> found;
    for (const Need& need : needs) {
      const Status read = try_to_read(reader, need);
      if (read.ok()) continue;
      found.push_back({DamageMeans::kStopsLater, file_of(need.place.segment), need.place.segment, need.place.offset, 0,
                       describe(need, names_) + ": " + read.error().message});
    }
    std::vector<Damage> kept;
    for (Damage& each : damage()) {
      if (each.means == DamageMeans::kStopsLater) {
        const bool told = std::any_of(found.begin(), found.end(), [&](const Damage& need) {
          return need.segment == each.segment &&
                 (each.file.empty() || (need.offset >= each.offset && need.offset < each.offset_end));
        });
        if (told) continue;
        each.means = DamageMeans::kHarmless;
      }
      kept.push_back(std::move(each));
    }
    kept.insert(kept.end(), found.begin(), found.end());
    damage() = std::move(kept);
  }

  [[nodiscard]] std::string file_of(std::uint64_t segment) const {
    for (const journal::SegmentFacts& facts : out_.journal.segments) {
      const bool in_use =
          facts.role == journal::SegmentFacts::Role::kOpen || facts.role == journal::SegmentFacts::Role::kClosed;
      if (in_use && facts.header.number == segment) return facts.file;
    }
    return "";
  }

  Status look_at_snapshots() {
    const auto names = disk_.list();
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) {
      const auto number = snapshot_file_number(name);
      if (!number) continue;
      SnapshotFacts facts{*number, 0, snapshots_needed_.contains(*number), snapshots_before_.contains(*number), false};
      auto file = disk_.open(name);
      if (!file.ok()) return file.status();
      facts.bytes = (*file)->size();
      if (Status status = look_at_snapshot(facts, name); !status.ok()) return status;
      out_.snapshots.push_back(facts);
    }
    for (const auto& [number, stage] : snapshots_needed_) {
      const auto there = [&](const SnapshotFacts& facts) { return facts.file == number; };
      if (std::any_of(out_.snapshots.begin(), out_.snapshots.end(), there)) continue;
      damage().push_back({DamageMeans::kStopsLater, snapshot_file_name(number), 0, 0, 0,
                          "snapshot " + snapshot_file_name(number) + " of the state of stage \"" +
                              names_.stages[stage].name + "\" is missing"});
    }
    return {};
  }

  Status look_at_snapshot(SnapshotFacts& facts, const std::string& name) {
    Status read = try_to_read_snapshot(disk_, facts.file);
    facts.whole = read.ok();
    if (read.ok()) return {};
    if (read.error().code == Code::kIo) return read;
    // What nobody needs may have been cut short by a crash.
    if (!facts.needed && !facts.needed_before) return {};
    const DamageMeans means = facts.needed || !replayed_ ? DamageMeans::kStopsLater : DamageMeans::kHarmless;
    damage().push_back({means, name, 0, 0, 0, read.error().message});
    return {};
  }

  journal::Disk& disk_;
  const Result<Topology>& topology_;
  const RestingDir* directory_;
  Topology names_;  ///< of what the start found
  Verdict out_;
  bool replayed_ = false;
  std::map<std::uint64_t, std::uint32_t> snapshots_needed_;
  std::map<std::uint64_t, std::uint32_t> snapshots_before_;
};

}  // namespace

bool Verdict::start_works() const {
  return std::none_of(journal.damage.begin(), journal.damage.end(),
                      [](const Damage& each) { return each.means == DamageMeans::kStartRefused; });
}

Result<Verdict> check_journal(journal::Disk& disk, const Result<Topology>& topology) {
  return Checker(disk, topology, nullptr).run();
}

Result<Verdict> check_journal(RestingDir& directory) {
  auto verdict = Checker(directory.disk(), directory.begins_with(), &directory).run();
  if (!verdict.ok() || verdict->damage().empty()) return verdict;
  if (Status able = can_salvage(directory); !able.ok()) {
    if (able.error().code == Code::kIo) return able.error();
    verdict->unsalvageable = able.error();
  }
  return verdict;
}

}  // namespace weir::server

// SPDX-License-Identifier: Apache-2.0
#include "broker/server/journal_salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "broker/journal/archive.h"
#include "broker/journal/examination.h"
#include "broker/journal/growth.h"
#include "broker/server/data_dir.h"
#include "broker/server/entry_json.h"
#include "broker/server/journal_check.h"
#include "broker/server/needs.h"
#include "broker/server/snapshot_file.h"
#include "sdk/base/random.h"

namespace weir::server {
namespace {

using journal::Archive;
using journal::EntryKind;
using journal::Journal;
using nlohmann::ordered_json;

/// "entry 5", "entries 5 to 7".
std::string entries_text(Sequence first, Sequence end) {
  if (end.value() == first.value() + 1) return fmt::format("entry {}", first.value());
  return fmt::format("entries {} to {}", first.value(), end.value() - 1);
}

constexpr std::uint64_t kGroupBytes = 1 << 20;  ///< so much is appended at once

/// The history up to a cut, as a ledger, and why it is no good.
struct Prefix {
  std::unique_ptr<core::Ledger> ledger;
  std::vector<Need> needs;
  std::string from;                   ///< "the checkpoint before 17"
  std::vector<std::string> problems;  ///< older parts that it needs and that cannot be read
};

class Salvage {
 public:
  Salvage(RestingDir& directory, const Archive& archive)
      : directory_(directory), topology_(*directory.topology()), archive_(archive) {}

  /// The longest prefix that is whole. Errors: kCorrupt with what the best of them lacks; kIo.
  Status choose() {
    std::string why;
    std::vector<std::optional<journal::CheckpointRef>> starts(archive_.checkpoints().begin(),
                                                              archive_.checkpoints().end());
    starts.emplace_back();  // the beginning
    for (const auto& start : starts) {
      auto prefix = replay_from(start);
      if (!prefix.ok()) {
        if (prefix.error().code != Code::kCorrupt) return prefix.status();
        continue;  // of another topology, or nothing is there to begin with
      }
      if (prefix->problems.empty()) {
        prefix_ = std::move(*prefix);
        note_passed_over();
        return {};
      }
      for (const std::string& problem : prefix->problems) {
        passed_over_.push_back(
            fmt::format("up to entry {}, from {}: {}", prefix->ledger->next_sequence().value(), prefix->from, problem));
      }
    }
    for (const std::string& each : passed_over_) why += "\n  " + each;
    return {Code::kCorrupt,
            fmt::format("{}: no part of the history is left that could be gone on from soundly: {}{}\n`weir run FILE "
                        "--fresh` starts over; `weir journal dump` shows what can be read",
                        directory_.path(),
                        passed_over_.empty() ? "neither a checkpoint nor the first entry can be read"
                                             : "what it needs from before is damaged",
                        why)};
  }

  Result<SalvageReport> write(const std::string& to) {
    report_.end = prefix_.ledger->next_sequence();
    report_.end_known = std::max(archive_.end_known(), report_.end);
    if (Status told = tell_losses(); !told.ok()) return told.error();
    auto disk = journal::PosixDisk::open(to + "/journal");
    if (!disk.ok()) return disk.error();
    if (Status copied = copy_snapshots(**disk); !copied.ok()) return copied.error();
    if (Status begun = begin(**disk); !begun.ok()) return begun.error();
    if (Status carried = carry_over(**disk); !carried.ok()) return carried.error();
    if (Status verified = verify(**disk); !verified.ok()) return verified.error();
    if (Status owned = DataDir::write_owner(to, prefix_.ledger->topology(), seed_); !owned.ok()) return owned.error();
    return report_;
  }

 private:
  Result<Prefix> replay_from(const std::optional<journal::CheckpointRef>& start) {
    Prefix prefix;
    prefix.from = start ? fmt::format("the checkpoint before {}", start->through.value()) : "the beginning";
    const auto begin = [&]() -> Status {
      prefix.ledger = std::make_unique<core::Ledger>(*directory_.begins_with());
      if (!start) return {};
      const auto bytes = journal::read_checkpoint_file(directory_.disk(), archive_.seed(), *start);
      return bytes.ok() ? prefix.ledger->decode_checkpoint(*bytes) : bytes.status();
    };
    if (Status begun = begin(); !begun.ok()) return begun.error();
    Sequence end{UINT64_MAX};
    while (true) {
      const Sequence next = prefix.ledger->next_sequence();
      const Archive::Entry* entry = next < end ? archive_.find(next) : nullptr;
      if (entry == nullptr) break;
      const auto payload = archive_.read(*entry);
      if (!payload.ok()) return payload.error();
      if (entry->kind == EntryKind::kCheckpoint) {
        prefix.ledger->apply_checkpoint();
        continue;
      }
      const core::Place place{entry->position.segment, entry->position.offset, 0, entry->bytes};
      const Status applied = prefix.ledger->apply(next, core::Buffer::of(*payload), place, false);
      if (applied.ok()) continue;
      if (applied.error().code == Code::kRefused) return applied.error();  // of a newer Weir: nothing is lost there
      // Whole, but in contradiction to what came before: the cut is here, and a ledger that refused is not used.
      end = next;
      if (Status again = begin(); !again.ok()) return again.error();
    }
    if (prefix.ledger->next_sequence().value() == 0) return Error{Code::kCorrupt, "the first entry cannot be read"};
    prefix.ledger->release();
    prefix.needs = needs_of(*prefix.ledger);
    for (const Need& need : prefix.needs) {
      if (Status read = read_need(need); !read.ok()) {
        if (read.error().code != Code::kCorrupt) return read.error();
        prefix.problems.push_back(
            fmt::format("{}: {}", describe(need, prefix.ledger->topology()), read.error().message));
      }
    }
    for (const auto& [file, stage] : snapshots_of(*prefix.ledger)) {
      if (Status read = try_to_read_snapshot(directory_.disk(), file); !read.ok()) {
        if (read.error().code != Code::kCorrupt) return read.error();
        prefix.problems.push_back(fmt::format("the state of stage \"{}\": {}",
                                              prefix.ledger->topology().stages[stage].name, read.error().message));
      }
    }
    return prefix;
  }

  Status read_need(const Need& need) {
    const journal::Position position{need.place.segment, need.place.offset};
    const Archive::Entry* entry = archive_.find(position);
    // It may lie in a later entry, which has copied it, never in an earlier one.
    if (entry == nullptr || entry->sequence < need.sequence) {
      return {Code::kCorrupt, fmt::format("segment {}, byte {} cannot be read", position.segment, position.offset)};
    }
    if (std::uint64_t{need.place.at} + need.place.size > entry->bytes) {
      return {Code::kCorrupt, fmt::format("segment {}, byte {} is too short", position.segment, position.offset)};
    }
    const auto payload = archive_.read(*entry);
    return payload.ok() ? Status() : payload.status();
  }

  void note_passed_over() {
    for (const std::string& each : passed_over_)
      report_.lost.push_back("cut further back, because of what was needed " + each);
  }

  /// What is behind the cut, as far as it can be told.
  Status tell_losses() {
    const Sequence end = report_.end;
    for (const std::string& each : archive_.rebuilt()) report_.lost.push_back(each);
    for (const Archive::Gap& gap : archive_.gaps()) {
      const bool behind = gap.end > end;
      report_.lost.push_back(fmt::format("{}, segment {}, from byte {}: {} cannot be read{}", gap.file,
                                         gap.position.segment, gap.position.offset, entries_text(gap.first, gap.end),
                                         behind ? "" : "; nothing needs them any more"));
    }
    const auto examined = journal::examine(directory_.disk());
    if (!examined.ok()) return examined.status();
    if (examined->history.cut_short) {
      report_.lost.push_back(
          fmt::format("what was behind entry {} in a file that was cut short is lost, and how much it was cannot be "
                      "told: {}; sources "
                      "and stages do it again, what came from outside since then must be sent again",
                      std::max(report_.end_known, end).value() - 1, examined->refusal->message));
    }
    if (end >= report_.end_known) return {};
    struct Sum {
      std::uint64_t entries = 0;
      std::uint64_t bytes = 0;
      std::uint64_t records = 0;
    };
    std::map<std::string, Sum> sums;
    std::uint64_t readable = 0;
    for (Sequence at = end; at < report_.end_known; ++at) {
      const Archive::Entry* entry = archive_.find(at);
      if (entry == nullptr) continue;
      ++readable;
      if (entry->kind == EntryKind::kCheckpoint) continue;
      const auto payload = archive_.read(*entry);
      if (!payload.ok()) continue;
      const ordered_json what = entry_json(entry->kind, *payload, &topology_);
      std::uint64_t records = 0;
      if (const auto emitted = what.find("emitted"); emitted != what.end()) {
        for (const ordered_json& frame : *emitted) records += frame["records"].get<std::uint64_t>();
      }
      const bool published = what.contains("producer");
      const ordered_json name = published ? what["stream"] : what.contains("stage") ? what["stage"] : ordered_json("");
      Sum& sum =
          sums[fmt::format("{} {}", published ? "records published from outside to stream" : "transactions of stage",
                           name.is_string() ? name.get<std::string>() : name.dump())];
      ++sum.entries;
      sum.bytes += entry->bytes;
      sum.records += records;
    }
    report_.lost.push_back(fmt::format(
        "entries {} to {} are lost: {} that cannot be read, and {} behind them that can, "
        "but say what follows from the former",
        end.value(), report_.end_known.value() - 1, report_.end_known.value() - end.value() - readable, readable));
    for (const auto& [what, sum] : sums) {
      report_.lost.push_back(fmt::format("  of these that can be read: {} {}, {} bytes, {} records emitted",
                                         sum.entries, what, sum.bytes, sum.records));
    }
    report_.lost.push_back(
        "sources and stages do again what was lost, from what the new directory says; records that came from outside "
        "must be sent again");
    return {};
  }

  Status copy_snapshots(journal::Disk& disk) {
    for (const auto& [number, stage] : snapshots_of(*prefix_.ledger)) {
      const std::string name = snapshot_file_name(number);
      auto from = directory_.disk().open(name);
      if (!from.ok()) return from.status();
      auto to = disk.create(name, 0);
      if (!to.ok()) return to.status();
      Bytes buffer(1 << 20);
      for (std::uint64_t at = 0; at < (*from)->size();) {
        const auto got = (*from)->read(at, buffer);
        if (!got.ok()) return got.status();
        if (*got == 0) break;
        const BytesView part = BytesView(buffer).first(*got);
        if (Status wrote = (*to)->write(at, std::span(&part, 1)); !wrote.ok()) return wrote;
        at += *got;
      }
      if (Status synced = (*to)->sync(); !synced.ok()) return synced;
    }
    return disk.sync_directory();
  }

  /// The entries that are carried over, each once, in their order.
  [[nodiscard]] std::vector<const Archive::Entry*> carried() const {
    std::map<Sequence, const Archive::Entry*> entries;
    for (const Need& need : prefix_.needs) {
      const Archive::Entry* entry = archive_.find(journal::Position{need.place.segment, need.place.offset});
      entries[entry->sequence] = entry;
    }
    std::vector<const Archive::Entry*> all;
    all.reserve(entries.size());
    for (const auto& [sequence, entry] : entries) all.push_back(entry);
    return all;
  }

  /// An empty journal that goes on at the sequence and the reign of the old one, so that neither is given twice.
  Status begin(journal::Disk& disk) {
    const Sequence first(prefix_.ledger->next_sequence().value() - carried().size());
    journal::SegmentHeader header;
    header.seed = seed_;
    header.number = 1;
    header.segment_bytes = archive_.segment_bytes();
    header.sequence_first = first;
    header.sequence_end_last = first;
    header.mark = first;
    header.reign = archive_.reign_next();
    header.opening = true;
    const std::uint64_t bytes = journal::grown_bytes(header.copy_end + journal::kOpeningBytes, header.segment_bytes);
    auto file = disk.create(journal::segment_file_name(1), bytes);
    if (!file.ok()) return file.status();
    const Bytes block = encode(header);
    const Bytes marks = journal::encode_opening_marks(seed_, header.reign, first, header.copy_end);
    const BytesView parts[] = {block, marks};
    if (Status wrote = (*file)->write(0, parts); !wrote.ok()) return wrote;
    if (Status synced = (*file)->sync(); !synced.ok()) return synced;
    return disk.sync_directory();
  }

  /// From here on it is the journal's own work: what is still needed is appended, and a checkpoint of the ledger, whose
  /// places are those of the new journal, stands behind it.
  Status carry_over(journal::Disk& disk) {
    journal::JournalOptions options;
    options.segment_bytes = archive_.segment_bytes();
    journal::Recovery found;
    auto journal = Journal::open(disk, options, found);
    if (!journal.ok()) return journal.status();
    std::map<journal::Position, journal::Position> places;
    const std::vector<const Archive::Entry*> entries = carried();
    for (std::size_t first = 0; first < entries.size();) {
      std::vector<Bytes> payloads;
      std::uint64_t bytes = 0;
      std::size_t end = first;
      while (end < entries.size() && (end == first || bytes + entries[end]->bytes <= kGroupBytes)) {
        auto payload = archive_.read(*entries[end]);
        if (!payload.ok()) return payload.status();
        bytes += payload->size();
        payloads.push_back(std::move(*payload));
        ++end;
      }
      std::vector<BytesView> views(payloads.begin(), payloads.end());
      std::vector<journal::EntryView> group;
      group.reserve(views.size());
      for (const BytesView& view : views) group.push_back({EntryKind::kRecord, std::span(&view, 1)});
      std::vector<journal::Position> positions;
      if (Status appended = (*journal)->append(group, positions); !appended.ok()) return appended;
      for (std::size_t i = first; i < end; ++i) places[entries[i]->position] = positions[i - first];
      report_.carried += end - first;
      report_.carried_bytes += bytes;
      first = end;
    }
    if (Status synced = (*journal)->sync(); !synced.ok()) return synced;
    core::Ledger& ledger = *prefix_.ledger;
    for (const Need& need : prefix_.needs) {
      const journal::Position moved = places.at({need.place.segment, need.place.offset});
      const core::Place place{moved.segment, moved.offset, need.place.at, need.place.size};
      if (need.is_state) {
        ledger.changelog(need.index).place(need.sequence, static_cast<std::uint32_t>(need.number), place);
      } else {
        ledger.stream(need.index).place(need.number, place);
      }
    }
    std::vector<core::Ledger::Fixup> fixups;
    checkpoint_ = ledger.encode_checkpoint(fixups);
    WEIR_CHECK(fixups.empty(), "all that a salvaged ledger refers to is written");
    const auto ref = (*journal)->write_checkpoint_file(
        ledger.next_sequence(), ledger.segment_needed_min((*journal)->segment_newest()), checkpoint_);
    if (!ref.ok()) return ref.status();
    const Bytes payload = journal::encode(*ref);
    const BytesView view = payload;
    const journal::EntryView entry{EntryKind::kCheckpoint, std::span(&view, 1)};
    std::vector<journal::Position> positions;
    if (Status appended = (*journal)->append(std::span(&entry, 1), positions); !appended.ok()) return appended;
    if (Status synced = (*journal)->sync(); !synced.ok()) return synced;
    return (*journal)->mark_if_needed();
  }

  /// What was made must say the same as what was read, and have nothing wrong with it.
  Status verify(journal::Disk& disk) {
    const auto wrong = [&](const std::string& what) {
      return Status(Code::kCorrupt,
                    fmt::format("{}: what was written does not read back ({}); it is not to be used, try "
                                "another disk",
                                disk.name(), what));
    };
    const auto verdict = check_journal(disk, directory_.begins_with());
    if (!verdict.ok()) return verdict.status();
    if (!verdict->damage().empty()) return wrong(verdict->damage().front().what);
    if (verdict->journal.history.checkpoint_bytes != checkpoint_) return wrong("its checkpoint");
    if (verdict->needs != prefix_.needs.size()) return wrong("what it needs");
    return {};
  }

  RestingDir& directory_;
  const Topology& topology_;
  const Archive& archive_;
  std::vector<std::string> passed_over_;
  const std::uint64_t seed_ = random_number();  ///< of the journal that is made
  Prefix prefix_;
  Bytes checkpoint_;
  SalvageReport report_;
};

/// Whether there is anything by which the journal can be read.
Status is_legible(RestingDir& directory) {
  if (!directory.topology().ok()) {
    return {
        Code::kCorrupt,
        fmt::format("{}; without it nothing says what the journal's numbers mean. A weir.json of the same topology, "
                    "made by a run on another data directory, may be put there without its line \"journal\"",
                    directory.topology().error().message)};
  }
  return directory.find_journal();
}

}  // namespace

Status can_salvage(RestingDir& directory) {
  if (Status legible = is_legible(directory); !legible.ok()) return legible;
  const auto archive = Archive::open(directory.disk(), directory.topology()->broker.segment_bytes);
  if (!archive.ok()) return archive.error();
  return Salvage(directory, *archive).choose();
}

Result<SalvageReport> salvage_journal(RestingDir& directory, const std::string& to) {
  std::error_code error;
  if (to.empty()) return {Code::kInvalid, "--to NEW is missing: the data directory that is to be made"};
  const std::string target = std::filesystem::absolute(to, error).lexically_normal().string();
  if (std::filesystem::exists(target, error) && !std::filesystem::is_empty(target, error)) {
    return {Code::kInvalid,
            fmt::format("{} exists and is not empty: give --to a directory that is not there yet", target)};
  }
  if (Status legible = is_legible(directory); !legible.ok()) return legible.error();
  const auto archive = Archive::open(directory.disk(), directory.topology()->broker.segment_bytes);
  if (!archive.ok()) return archive.error();
  Salvage salvage(directory, *archive);
  if (Status chosen = salvage.choose(); !chosen.ok()) return chosen.error();
  return salvage.write(target);
}

std::string to_text(const SalvageReport& report, const std::string& from, const std::string& to) {
  std::string text = fmt::format(
      "made {} out of {}: the history before entry {}; {} older entries ({} bytes) are still "
      "needed and were carried over\n",
      to, from, report.end.value(), report.carried, report.carried_bytes);
  for (const std::string& each : report.lost) text += each + "\n";
  if (report.end >= report.end_known) text += "nothing that is needed was lost\n";
  text += fmt::format("`weir run FILE --data {}` goes on from there\n", to);
  return text;
}

std::string to_json(const SalvageReport& report, const std::string& from, const std::string& to) {
  const ordered_json json{{"from", from},
                          {"to", to},
                          {"sequence_end", report.end.value()},
                          {"sequence_end_known", report.end_known.value()},
                          {"entries_lost", report.end_known.value() - report.end.value()},
                          {"entries_carried", report.carried},
                          {"bytes_carried", report.carried_bytes},
                          {"lost", report.lost}};
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace weir::server

// SPDX-License-Identifier: Apache-2.0
// What `weir journal check` prints.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "broker/server/journal_check.h"
#include "broker/server/snapshot_file.h"

namespace weir::server {
namespace {

using journal::CheckpointFacts;
using journal::Damage;
using journal::DamageMeans;
using journal::SegmentFacts;
using nlohmann::ordered_json;
using Role = SegmentFacts::Role;

bool in_use(const SegmentFacts& facts) { return facts.role == Role::kOpen || facts.role == Role::kClosed; }

std::string_view word(Role role) {
  switch (role) {
    case Role::kOpen:
      return "open";
    case Role::kClosed:
      return "closed";
    case Role::kFree:
      return "free";
    case Role::kSpare:
      return "spare";
    case Role::kUnreadable:
      return "unreadable";
  }
  return "";
}

std::string_view word(DamageMeans means) {
  switch (means) {
    case DamageMeans::kStartRefused:
      return "start_refused";
    case DamageMeans::kStopsLater:
      return "stops_when_read";
    case DamageMeans::kHarmless:
      return "harmless";
  }
  return "";
}

std::string_view sentence(DamageMeans means) {
  switch (means) {
    case DamageMeans::kStartRefused:
      return "a start is refused";
    case DamageMeans::kStopsLater:
      return "older than the checkpoint: a start works, and the broker stops when it reads this";
    case DamageMeans::kHarmless:
      return "a start and the broker do without it";
  }
  return "";
}

std::string entries(const SegmentFacts& facts) {
  if (facts.entries == 0) return "no entries";
  return fmt::format("entries {} to {}", facts.header.sequence_first.value(), facts.end.value() - 1);
}

std::string line(const SegmentFacts& facts) {
  const journal::SegmentHeader& header = facts.header;
  if (facts.role == Role::kSpare)
    return fmt::format("  {}: a spare, never used, {} bytes\n", facts.file, facts.file_bytes);
  if (facts.role == Role::kUnreadable) {
    return fmt::format("  {}: its header cannot be read, {} bytes\n", facts.file, facts.file_bytes);
  }
  if (facts.role == Role::kFree) {
    return fmt::format("  {}: free; was segment {} of reign {}\n", facts.file, header.number, header.reign.value());
  }
  std::string text = fmt::format("  segment {} ({}), reign {}: {}, {}, bytes {} to {} of {}", header.number, facts.file,
                                 header.reign.value(), word(facts.role), entries(facts), journal::kBlockBytes,
                                 facts.content_end, header.segment_bytes);
  if (header.opening) {
    text += header.copy_end > journal::kBlockBytes
                ? fmt::format("; copied up to byte {} by the start of reign {}", header.copy_end, header.reign.value())
                : fmt::format("; made by the start of reign {}", header.reign.value());
  }
  text += fmt::format("; {} marks and {} opening marks, the highest says that entries before {} are durable\n",
                      facts.marks, facts.opening_marks, facts.mark_max.value());
  return text;
}

std::string line(const CheckpointFacts& facts) {
  return fmt::format("  {}: entries before {}, {} bytes, {}{}{}\n", journal::checkpoint_file_name(facts.ref),
                     facts.ref.through.value(), facts.ref.file_bytes,
                     facts.whole ? "its CRC fits" : "damaged or missing", facts.in_force ? "; in force" : "; left over",
                     facts.in_force ? fmt::format(", needs segments from {} on{}", facts.ref.segment_needed_min,
                                                  facts.used ? ", a start begins with it" : "")
                                    : std::string());
}

std::string line(const SnapshotFacts& facts) {
  return fmt::format("  {}: {} bytes, {}{}\n", snapshot_file_name(facts.file), facts.bytes,
                     facts.whole ? "all its CRCs fit" : "damaged or unfinished",
                     facts.needed          ? "; needed"
                     : facts.needed_before ? "; named by a checkpoint in force"
                                           : "; not needed");
}

ordered_json to_json(const SegmentFacts& facts) {
  ordered_json json{{"file", facts.file}, {"state", word(facts.role)}, {"file_bytes", facts.file_bytes}};
  if (facts.role == Role::kSpare || facts.role == Role::kUnreadable) return json;
  const journal::SegmentHeader& header = facts.header;
  json["segment"] = header.number;
  json["reign"] = header.reign.value();
  json["sequence_first"] = header.sequence_first.value();
  if (!in_use(facts)) return json;
  json["sequence_end"] = facts.end.value();
  json["entries"] = facts.entries;
  json["bytes_end"] = facts.content_end;
  json["opened_by_start"] = header.opening;
  json["copy_end"] = header.copy_end;
  json["marks"] = facts.marks;
  json["opening_marks"] = facts.opening_marks;
  json["mark"] = facts.mark_max.value();
  return json;
}

}  // namespace

std::string to_text(const Verdict& verdict, RestingDir& directory) {
  const journal::Examination& examined = verdict.journal;
  const journal::History& history = examined.history;
  std::string text = fmt::format("{}: ", directory.path());
  text += directory.topology().ok() ? fmt::format("topology \"{}\"", directory.topology()->name) : "topology unknown";
  text += history.reign.value() == 0
              ? (directory.journal() ? ", nothing is left of its journal\n"
                                     : ", nothing was ever served from its journal\n")
              : fmt::format(", journal {:016x}, last served in reign {}\n", history.seed, history.reign.value());
  text += "segments, in their order:\n";
  for (const SegmentFacts& facts : examined.segments) {
    if (in_use(facts)) text += line(facts);
  }
  for (const SegmentFacts& facts : examined.segments) {
    if (!in_use(facts)) text += line(facts);
  }
  if (!examined.checkpoints.empty()) text += "checkpoints:\n";
  for (const CheckpointFacts& facts : examined.checkpoints) text += line(facts);
  if (!verdict.snapshots.empty()) text += "snapshots of state:\n";
  for (const SnapshotFacts& facts : verdict.snapshots) text += line(facts);
  if (verdict.start_works()) {
    text += fmt::format(
        "a start recovers {} entries, {}, and serves as reign {}; {} parts of entries will be read "
        "back\n",
        history.end.value(),
        history.checkpoint_used ? fmt::format("from the checkpoint before {}", history.checkpoint_used->through.value())
                                : "from its beginning",
        history.reign_next.value(), verdict.needs);
    text += history.cut_bytes == 0 ? "it cuts nothing\n" : fmt::format("it cuts {} bytes\n", history.cut_bytes);
    if (!history.report.empty()) text += "  " + history.report + "\n";
  } else {
    text += "a start is refused\n";
  }
  for (const Damage& each : verdict.damage()) text += fmt::format("damage: {} ({})\n", each.what, sentence(each.means));
  if (verdict.damage().empty()) return text + "nothing is damaged\n";
  const std::size_t places = verdict.damage().size();
  text += fmt::format("{} damaged {}; ", places, places == 1 ? "place" : "places");
  if (verdict.unsalvageable) {
    text += fmt::format("`weir journal salvage` would refuse: {}\n", verdict.unsalvageable->message);
  } else {
    text +=
        fmt::format("`weir journal salvage --data {} --to NEW` makes a new data directory out of what can be read\n",
                    directory.path());
  }
  return text;
}

std::string to_json(const Verdict& verdict, RestingDir& directory) {
  const journal::History& history = verdict.journal.history;
  ordered_json json;
  json["data_dir"] = directory.path();
  json["topology"] = directory.topology().ok() ? ordered_json(directory.topology()->name) : ordered_json(nullptr);
  json["reign"] = history.reign.value();
  json["segments"] = ordered_json::array();
  for (const SegmentFacts& facts : verdict.journal.segments) json["segments"].push_back(to_json(facts));
  json["checkpoints"] = ordered_json::array();
  for (const CheckpointFacts& facts : verdict.journal.checkpoints) {
    json["checkpoints"].push_back({{"file", journal::checkpoint_file_name(facts.ref)},
                                   {"through", facts.ref.through.value()},
                                   {"bytes", facts.ref.file_bytes},
                                   {"whole", facts.whole},
                                   {"in_force", facts.in_force},
                                   {"used", facts.used}});
  }
  json["snapshots"] = ordered_json::array();
  for (const SnapshotFacts& facts : verdict.snapshots) {
    json["snapshots"].push_back({{"file", snapshot_file_name(facts.file)},
                                 {"bytes", facts.bytes},
                                 {"whole", facts.whole},
                                 {"needed", facts.needed}});
  }
  const bool works = verdict.start_works();
  json["start"] = {{"works", works}};
  if (works) {
    json["start"]["sequence_end"] = history.end.value();
    json["start"]["cut_bytes"] = history.cut_bytes;
    json["start"]["report"] = history.report;
  }
  if (!verdict.damage().empty()) {
    json["salvage"] = {{"works", !verdict.unsalvageable}};
    if (verdict.unsalvageable) json["salvage"]["reason"] = verdict.unsalvageable->message;
  }
  json["damage"] = ordered_json::array();
  for (const Damage& each : verdict.damage()) {
    ordered_json one{{"means", word(each.means)}, {"file", each.file}, {"what", each.what}};
    if (each.segment != 0) one["segment"] = each.segment;
    if (each.segment != 0 || each.offset != 0) one["position"] = each.offset;
    json["damage"].push_back(one);
  }
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace weir::server

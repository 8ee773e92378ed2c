// SPDX-License-Identifier: Apache-2.0
#include "broker/server/entry_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "broker/core/copy_job.h"
#include "broker/core/entry.h"
#include "broker/core/stage_library.h"
#include "sdk/topology/choices.h"
#include "sdk/topology/resolved_file.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/commit.h"
#include "sdk/wire/frame.h"

namespace weir::server {
namespace {

using nlohmann::ordered_json;

ordered_json stage_name(const Topology* topology, std::uint32_t index) {
  if (topology == nullptr || index >= topology->stages.size()) return index;
  return topology->stages[index].name;
}

ordered_json stream_name(const Topology* topology, std::uint32_t index) {
  if (topology == nullptr || index >= topology->streams.size()) return index;
  return topology->streams[index].name;
}

ordered_json frame_json(const wire::FrameView& frame, const Topology* topology) {
  ordered_json json{{"stream", stream_name(topology, frame.header().stream)},
                    {"records", frame.header().records},
                    {"bytes", frame.bytes().size()},
                    {"batches", ordered_json::array()}};
  for (std::uint32_t i = 0; i < frame.header().batches; ++i) {
    const wire::BatchHeader batch = frame.batch(i);
    ordered_json told{{"shard", batch.shard}, {"offset", batch.offset}, {"count", batch.count}};
    const auto compression = static_cast<Compression>(batch.compression);
    if (compression != Compression::kNone) told["compression"] = word_of(kCompressions, compression);
    json["batches"].push_back(std::move(told));
  }
  return json;
}

std::uint64_t count_changes(BytesView bytes) {
  wire::ChangesReader reader(bytes);
  std::uint64_t count = 0;
  while (reader.next()) ++count;
  return count;
}

void tell_transaction(ordered_json& json, const core::EntryHeader& header, BytesView payload,
                      const Topology* topology) {
  json["stage"] = stage_name(topology, header.unit);
  json["incarnation"] = fmt::format("{}.{}", header.incarnation >> 32, header.incarnation & 0xffffffff);
  const auto commit = wire::decode_commit(payload, sizeof(core::EntryHeader));
  if (!commit.ok()) {
    json["problem"] = commit.error().message;
    return;
  }
  json["transaction"] = commit->transaction;
  for (const wire::Consumed& range : commit->consumed) {
    json["consumed"].push_back({{"stream", stream_name(topology, range.stream)},
                                {"shard", range.shard},
                                {"from", range.from},
                                {"to", range.to}});
  }
  for (const wire::SplitMoved& split : commit->splits) {
    json["splits"].push_back({{"split", split.split}, {"ended", split.ended}});
  }
  if (!commit->splits_found.empty()) json["splits_found"] = commit->splits_found;
  if (commit->enumeration_ended) json["enumeration_ended"] = true;
  if (!commit->finished.empty()) json["finished"] = commit->finished;
  for (const wire::ChangesOf& changes : commit->changes) {
    json["changes"].push_back({{"stage", stage_name(topology, changes.stage)},
                               {"shard", changes.shard},
                               {"count", count_changes(changes.bytes)},
                               {"bytes", changes.bytes.size()}});
  }
  for (const wire::FrameAt& at : commit->frames) {
    const auto frame = wire::FrameView::parse(payload.subspan(at.position, at.size));
    if (frame.ok()) json["emitted"].push_back(frame_json(*frame, topology));
  }
  for (const wire::DirectEmitted& emitted : commit->emitted) {
    json["emitted_directly"].push_back(
        {{"stream", stream_name(topology, emitted.stream)}, {"records", emitted.records}, {"bytes", emitted.bytes}});
    for (const wire::Published& published : commit->published) {
      if (published.stream == emitted.stream) json["emitted_directly"].back()["readers"] = published.readers;
    }
  }
  for (const wire::DirectTaken& taken : commit->taken) {
    json["taken_directly"].push_back({{"stream", stream_name(topology, taken.stream)},
                                      {"producer", taken.producer},
                                      {"records", taken.records},
                                      {"lost", taken.lost}});
  }
}

void tell_publish(ordered_json& json, BytesView body, const Topology* topology) {
  const auto publish = core::decode_publish(body);
  if (!publish.ok()) {
    json["problem"] = publish.error().message;
    return;
  }
  json["producer"] = publish->name.empty() ? ordered_json(nullptr) : ordered_json(publish->name);
  json["number"] = publish->number;
  json["stream"] = stream_name(topology, publish->stream);
  if (publish->ends) json["ends"] = true;
  for (const BytesView bytes : {publish->frame, publish->shared}) {
    if (bytes.empty()) continue;
    const auto frame = wire::FrameView::parse(bytes);
    if (frame.ok()) json["emitted"].push_back(frame_json(*frame, topology));
  }
}

void tell_library(ordered_json& json, const core::Upgraded& upgraded) {
  using What = core::Upgraded::What;
  using By = core::StageLibrary::By;
  if (upgraded.what != What::kWanted) {
    json["runs"] =
        upgraded.what == What::kSettled ? "its workers have proven themselves" : "the one that the topology leads to";
    return;
  }
  const auto told = [](const core::LibraryVersion& version) {
    return ordered_json{{"hash", version.hash}, {"name", version.name}, {"origin", version.origin}};
  };
  const core::StageLibrary& library = upgraded.library;
  json["runs"] = library.now.name;
  json["library"] = told(library.now);
  if (!library.before.hash.empty()) json["before"] = told(library.before);
  json["by"] = library.by == By::kItself ? "itself" : library.by == By::kBack ? "a person, back" : "a person";
  if (!library.why.empty()) json["why"] = library.why;
}

void tell_copies(ordered_json& json, BytesView payload, const Topology* topology) {
  json["what"] = "copies";
  const auto items = core::decode_copied(payload, sizeof(core::EntryHeader));
  if (!items.ok()) {
    json["problem"] = items.error().message;
    return;
  }
  for (const core::CopyItem& item : *items) {
    const bool frame = item.kind == core::CopyItem::Kind::kFrame;
    ordered_json one =
        frame ? ordered_json{{"stream", stream_name(topology, item.index)}, {"frame", item.number}}
              : ordered_json{
                    {"stage", stage_name(topology, item.index)}, {"shard", item.lane}, {"sequence", item.number}};
    one["bytes"] = item.place.size;
    json["copied"].push_back(one);
  }
}

ordered_json topology_json(const std::string& body) {
  ordered_json json{{"what", "topology"}};
  const auto topology = decode_resolved(body);
  if (!topology.ok()) {  // of an earlier version, which entered the name only
    json["name"] = body;
    return json;
  }
  json["name"] = topology->name;
  const auto list = [&](const char* what, const auto& parts) {
    json[what] = ordered_json::array();
    for (const auto& part : parts) {
      ordered_json one{{"name", part.name}};
      if (part.resting) one["resting"] = true;
      json[what].push_back(std::move(one));
    }
  };
  list("streams", topology->streams);
  list("stages", topology->stages);
  return json;
}

ordered_json record_json(BytesView payload, const Topology* topology) {
  const auto header = core::decode_header(payload);
  if (!header.ok()) return {{"what", "unknown"}, {"problem", header.error().message}};
  const BytesView body = payload.subspan(sizeof(core::EntryHeader));
  ordered_json json;
  switch (header->type) {
    case core::EntryType::kTopology:
      return topology_json(std::string(as_text(body)));
    case core::EntryType::kTransaction:
      json["what"] = "transaction";
      tell_transaction(json, *header, payload, topology);
      break;
    case core::EntryType::kPublish:
      json["what"] = "publish";
      tell_publish(json, body, topology);
      break;
    case core::EntryType::kSnapshot: {
      json["what"] = "snapshot";
      json["stage"] = stage_name(topology, header->unit);
      const auto taken = core::decode_snapshot(body);
      if (!taken.ok()) {
        json["problem"] = taken.error().message;
        break;
      }
      json["file"] = taken->file;
      json["through"] = taken->through;
      json["file_bytes"] = taken->bytes;
      break;
    }
    case core::EntryType::kCheckpoint:
      json["what"] = "checkpoint";
      break;
    case core::EntryType::kLetters: {
      json["what"] = "dead letters moved";
      json["stage"] = stage_name(topology, header->unit);
      const auto moved = core::decode_letters_moved(body);
      if (!moved.ok()) {
        json["problem"] = moved.error().message;
        break;
      }
      json["requeued"] = moved->again.size();
      break;
    }
    case core::EntryType::kParked: {
      json["what"] = "parked keys asked for";
      json["stage"] = stage_name(topology, header->unit);
      const auto asked = core::decode_parked_asked(body);
      if (!asked.ok()) {
        json["problem"] = asked.error().message;
        break;
      }
      json["requeued"] = std::count_if(asked->begin(), asked->end(), [](const auto& one) { return one.drops.empty(); });
      break;
    }
    case core::EntryType::kReplay: {
      json["what"] = "replay";
      json["stage"] = stage_name(topology, header->unit);
      const auto replay = core::decode_replay(body);
      if (!replay.ok()) {
        json["problem"] = replay.error().message;
        break;
      }
      json["stream"] = stream_name(topology, replay->stream);
      json["reset"] = replay->reset;
      for (const core::Replay::From& from : replay->from) json["from"].push_back(from.offset);
      break;
    }
    case core::EntryType::kGroup: {
      const auto moved = core::decode_group_moved(body);
      json["what"] = "group outside";
      if (!moved.ok()) {
        json["problem"] = moved.error().message;
        break;
      }
      using What = core::GroupMoved::What;
      json["what"] = moved->what == What::kEntered    ? "group outside enters"
                     : moved->what == What::kConsumed ? "group outside has consumed"
                                                      : "group outside is dropped";
      json["name"] = moved->group;
      json["stream"] = stream_name(topology, moved->stream);
      for (const core::GroupMoved::To& to : moved->to)
        json["to"].push_back({{"shard", to.shard}, {"offset", to.offset}});
      break;
    }
    case core::EntryType::kLost: {
      json["what"] = "records lost on their way from worker to worker";
      const auto lost = core::decode_lost(body);
      if (!lost.ok()) {
        json["problem"] = lost.error().message;
        break;
      }
      for (const core::Lost& one : *lost)
        json["lost"].push_back({{"stream", stream_name(topology, one.stream)}, {"records", one.records}});
      break;
    }
    case core::EntryType::kScaled: {
      json["what"] = "number of workers";
      json["stage"] = stage_name(topology, header->unit);
      const auto scaled = core::decode_scaled(body);
      if (!scaled.ok()) {
        json["problem"] = scaled.error().message;
        break;
      }
      json["workers"] = scaled->workers;
      json["by"] = scaled->by == core::Scaled::By::kLoad ? "its load" : "a person";
      break;
    }
    case core::EntryType::kUpgraded: {
      json["what"] = "library";
      json["stage"] = stage_name(topology, header->unit);
      const auto upgraded = core::decode_upgraded(body);
      if (!upgraded.ok()) {
        json["problem"] = upgraded.error().message;
        break;
      }
      tell_library(json, *upgraded);
      break;
    }
    case core::EntryType::kBoundaries: {
      json["what"] = "boundaries";
      const auto moved = core::decode_boundaries_moved(body);
      if (!moved.ok()) {
        json["problem"] = moved.error().message;
        break;
      }
      json["stream"] = stream_name(topology, moved->stream);
      for (const Boundary& boundary : moved->boundaries)
        std::visit([&](const auto& value) { json["boundaries"].push_back(value); }, boundary);
      break;
    }
    case core::EntryType::kRelocated: {
      json["what"] = "state moved to other shards";
      json["stage"] = stage_name(topology, header->unit);
      const auto relocated = core::decode_relocated(body);
      if (!relocated.ok()) {
        json["problem"] = relocated.error().message;
        break;
      }
      using Step = core::Relocated::Step;
      json["step"] = relocated->step == Step::kPortion  ? "a portion"
                     : relocated->step == Step::kCopied ? "all is copied"
                                                        : "done";
      for (const core::Relocated::Changes& changes : relocated->changes) {
        json["changes"].push_back({{"stage", stage_name(topology, changes.stage)},
                                   {"shard", changes.lane},
                                   {"bytes", changes.changes.size()}});
      }
      break;
    }
    case core::EntryType::kCopied:
      tell_copies(json, payload, topology);
      break;
  }
  return json;
}

std::string plain(const ordered_json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

}  // namespace

ordered_json entry_json(journal::EntryKind kind, BytesView payload, const Topology* topology) {
  if (kind == journal::EntryKind::kRecord) return record_json(payload, topology);
  const auto ref = journal::decode_checkpoint_ref(payload);
  if (!ref.ok()) return {{"what", "checkpoint"}, {"problem", ref.error().message}};
  return {{"what", "checkpoint"},
          {"file", journal::checkpoint_file_name(*ref)},
          {"through", ref->through.value()},
          {"file_bytes", ref->file_bytes},
          {"segment_needed_min", ref->segment_needed_min}};
}

std::string entry_text(const ordered_json& entry) {
  std::string text = plain(entry["what"]);
  const auto part = [&](const char* name, const char* before) {
    if (const auto at = entry.find(name); at != entry.end() && !at->is_null()) text += before + plain(*at);
  };
  part("name", " ");
  part("stage", " of ");
  part("incarnation", ", incarnation ");
  part("transaction", ", number ");
  part("workers", ": ");
  part("runs", ": ");
  part("by", ", by ");
  part("producer", " of ");
  part("number", ", message ");
  part("file", ": ");
  part("through", ", all before entry ");
  part("file_bytes", ", bytes ");
  part("segment_needed_min", ", needs segments from ");
  const auto list = [&](const char* name, const auto& each) {
    const auto found = entry.find(name);
    if (found == entry.end()) return;
    for (const ordered_json& one : *found) text += each(one);
  };
  const auto counted = [&](const char* name, const char* what) {
    const auto found = entry.find(name);
    if (found != entry.end()) text += fmt::format("; {} {}", what, found->size());
  };
  // Ranges and changes are many: a line sums them up by stream and stage, JSON has them all.
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> sums;
  list("consumed", [&](const ordered_json& one) {
    auto& [records, shards] = sums[plain(one["stream"])];
    records += one["to"].get<std::uint64_t>() - one["from"].get<std::uint64_t>();
    ++shards;
    return "";
  });
  for (const auto& [stream, sum] : sums) {
    text += fmt::format("; consumed {} records in {} ranges of {}", sum.first, sum.second, stream);
  }
  counted("copied", "older parts that are still needed:");
  counted("splits", "splits moved:");
  counted("splits_found", "splits found:");
  if (entry.contains("enumeration_ended")) text += "; all splits are found";
  counted("finished", "shards finished:");
  sums.clear();
  list("changes", [&](const ordered_json& one) {
    auto& [changes, shards] = sums[plain(one["stage"])];
    changes += one["count"].get<std::uint64_t>();
    ++shards;
    return "";
  });
  for (const auto& [stage, sum] : sums) {
    text += fmt::format("; {} state changes in {} shards of {}", sum.first, sum.second, stage);
  }
  list("emitted", [](const ordered_json& one) {
    return fmt::format("; emitted {} records in {} shards to {}", plain(one["records"]), one["batches"].size(),
                       plain(one["stream"]));
  });
  list("emitted_directly", [](const ordered_json& one) {
    const std::string readers = one.contains("readers") ? fmt::format(" to {} readers", plain(one["readers"])) : "";
    return fmt::format("; emitted {} records to {}, past the broker{}", plain(one["records"]), plain(one["stream"]),
                       readers);
  });
  list("taken_directly", [](const ordered_json& one) {
    return fmt::format("; consumed {} records of {}, past the broker", plain(one["records"]), plain(one["stream"]));
  });
  list("lost",
       [](const ordered_json& one) { return fmt::format("; {} of {}", plain(one["records"]), plain(one["stream"])); });
  if (entry.contains("ends")) text += "; ends " + plain(entry["stream"]);
  part("problem", "; ");
  return text;
}

}  // namespace weir::server

// SPDX-License-Identifier: Apache-2.0
#include "broker/server/journal_dump.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "broker/journal/examination.h"
#include "broker/journal/remains.h"
#include "broker/server/entry_json.h"

namespace weir::server {
namespace {

using nlohmann::ordered_json;

class Dump {
 public:
  Dump(RestingDir& directory, const DumpOptions& options) : directory_(directory), options_(options) {}

  Status run() {
    const auto examined = journal::examine(directory_.disk());
    if (!examined.ok()) return examined.status();
    const journal::History& history = examined->history;
    bool any = false;
    for (const journal::SegmentFacts& facts : examined->segments) {
      using Role = journal::SegmentFacts::Role;
      if (facts.role != Role::kOpen && facts.role != Role::kClosed) continue;
      any = true;
      // Behind the end of the open segment lies what a start cuts, or rubbish from its file's earlier use.
      const Sequence stop = facts.role == Role::kOpen && !examined->refusal ? history.end : Sequence(UINT64_MAX);
      if (Status told = tell(facts, stop); !told.ok()) return told;
      if (done()) break;
    }
    if (!any && examined->refusal) return *examined->refusal;
    return {};
  }

 private:
  [[nodiscard]] bool done() const { return (options_.count && lines_ >= *options_.count) || std::ferror(stdout) != 0; }

  void print(const std::string& line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
    ++lines_;
  }

  void tell_gap(const journal::SegmentFacts& facts, std::uint32_t at, Sequence first, Sequence end) {
    if (end.value() <= options_.from || done()) return;
    if (options_.json) {
      const ordered_json json{{"sequence", first.value()},
                              {"segment", facts.header.number},
                              {"offset", at},
                              {"damaged", true},
                              {"entries", end.value() - first.value()}};
      return print(json.dump());
    }
    print(fmt::format("{}  segment {}, byte {}: damaged, {} entries cannot be read", first.value(), facts.header.number,
                      at, end.value() - first.value()));
  }

  Status tell(const journal::SegmentFacts& facts, Sequence stop) {
    auto file = directory_.disk().open(facts.file);
    if (!file.ok()) return file.status();
    const Topology* topology = directory_.topology().ok() ? &*directory_.topology() : nullptr;
    journal::Remains remains(**file, facts.header);
    while (!done()) {
      const auto entry = remains.next();
      if (!entry.ok()) return entry.status();
      if (!*entry || ((*entry)->frame.sequence >= stop.value() && !(*entry)->is_mark())) break;
      const journal::FrameHeader& frame = (*entry)->frame;
      if ((*entry)->is_mark()) continue;
      if ((*entry)->gap()) tell_gap(facts, (*entry)->lost_at, (*entry)->lost_from, Sequence(frame.sequence));
      if (frame.sequence < options_.from || done()) continue;
      const auto kind = static_cast<journal::EntryKind>(static_cast<std::uint8_t>(frame.kind));
      const ordered_json what = entry_json(kind, (*entry)->payload, topology);
      if (options_.json) {
        ordered_json json{{"sequence", frame.sequence},
                          {"segment", facts.header.number},
                          {"offset", (*entry)->offset},
                          {"reign", frame.reign},
                          {"bytes", frame.payload_bytes}};
        json.update(what);
        print(json.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
      } else {
        print(fmt::format("{}  segment {}, byte {}, reign {}, {} bytes  {}", frame.sequence, facts.header.number,
                          (*entry)->offset, frame.reign, frame.payload_bytes, entry_text(what)));
      }
    }
    return {};
  }

  RestingDir& directory_;
  const DumpOptions& options_;
  std::uint64_t lines_ = 0;
};

}  // namespace

Status dump_journal(RestingDir& directory, const DumpOptions& options) { return Dump(directory, options).run(); }

}  // namespace weir::server

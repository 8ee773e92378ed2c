// SPDX-License-Identifier: Apache-2.0
#include "broker/server/offline.h"

#include <fmt/format.h>

#include <cstdio>

#include "broker/core/core.h"
#include "broker/server/data_dir.h"
#include "broker/server/journal_reader.h"
#include "broker/server/letters_json.h"
#include "broker/server/replay.h"
#include "broker/server/resting_dir.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/compression.h"
#include "weir/json.h"

namespace weir::server {
namespace {

/// An outside in which nothing happens: a directory at rest is only looked at.
class Nowhere final : public core::Outside {
 public:
  void append(core::NewEntry) override {}
  void sync() override {}
  void connect(Incarnation, const std::string&) override {}
  void disconnect(Incarnation) override {}
  void send(Incarnation, Bytes) override {}
  void reply(const core::Client&, Bytes) override {}
  void read_frame(std::uint32_t, std::uint64_t, core::Place) override {}
  void restore(core::RestoreJob) override {}
  void compact(core::CompactJob) override {}
  void copy(core::CopyJob) override {}
  void write_checkpoint(core::CheckpointJob) override {}
  void notify(core::Notice) override {}
};

void print_record(const wire::RecordRef& record) {
  std::string line = "{\"key\":";
  JsonWriter writer(line);
  if (!writer.value(record.key)) line += "null";
  line += ",\"value\":";
  if (!writer.value(record.value)) line += "null";
  line += fmt::format(",\"timestamp\":{}}}\n", record.timestamp);
  std::fwrite(line.data(), 1, line.size(), stdout);
}

Status print_stream(const core::Ledger& ledger, JournalReader& reader, const std::string& name, std::uint64_t count) {
  const Stream* spec = ledger.topology().find_stream(name);
  if (spec == nullptr || spec->transport != Transport::kQueue) {
    return {Code::kInvalid, fmt::format("there is no stream \"{}\" that could be tapped in the topology \"{}\"", name,
                                        ledger.topology().name)};
  }
  const core::StreamState& stream = ledger.stream(static_cast<std::uint32_t>(spec - ledger.topology().streams.data()));
  std::uint64_t printed = 0;
  wire::Decompressor decompressor;
  for (std::uint64_t frame = stream.first_frame(); frame < stream.end_frame(); ++frame) {
    const auto bytes = reader.read(stream.slot(frame).place);
    if (!bytes.ok()) return bytes.error();
    const auto view = wire::FrameView::parse(*bytes);
    if (!view.ok()) return view.error();
    std::size_t at = view->batches_start();
    for (std::uint32_t i = 0; i < view->header().batches; ++i) {
      const wire::BatchHeader batch = view->batch(i);
      const auto plain = decompressor.records(batch.compression, view->bytes().subspan(at, batch.bytes),
                                              wire::batch_bytes_max(ledger.topology()));
      if (!plain.ok()) return plain.error();
      at += batch.bytes;
      wire::BatchReader records(*plain);
      while (const auto record = records.next()) {
        if (count != 0 && printed == count) return {};
        print_record(*record);
        ++printed;
      }
    }
  }
  return {};
}

}  // namespace

Status read_offline(const std::string& what, const std::string& directory, const std::string& stream,
                    std::uint64_t count) {
  const auto owner = DataDir::read_owner(directory);
  if (!owner.ok()) return owner.error();
  auto resting = RestingDir::open(directory);  // nothing is written there, and nobody starts meanwhile
  if (!resting.ok()) return resting.error();
  if (Status known = resting->find_journal(); !known.ok()) return known;
  journal::Recovery found;
  auto journal = journal::Journal::open_read_only(resting->disk(), found);
  if (!journal.ok()) return journal.error();
  Nowhere nowhere;
  core::CoreOptions options;
  options.only_looks = true;
  core::Core core(owner->begins_with, std::move(options), nowhere);
  if (Status status = replay(**journal, found, core.ledger()); !status.ok()) return status;
  JournalReader reader(**journal, resting->disk());
  if (what == "tail") {
    core.ledger().release();
    return print_stream(core.ledger(), reader, stream, count);
  }
  std::string text;
  if (what == "status") {
    core.start(found.reign, {}, Monotonic{0});
    core.on_settled(core.ledger().next_sequence(), Monotonic{0});  // whether it has finished shows only then
    text = core.status_text() + "\n";
  } else if (what == "dead-letters") {
    auto letters = letters_json(reader, core.dead_letter_parts(), core.ledger().topology());
    if (!letters.ok()) return letters.error();
    text = std::move(*letters);
  } else {
    return {Code::kInvalid, fmt::format("\"{}\" cannot be read: status, tail or dead-letters", what)};
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

}  // namespace weir::server

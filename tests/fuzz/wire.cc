// SPDX-License-Identifier: Apache-2.0
// Messages between broker and worker, and hello and welcome. The first byte says which decoder is meant. What decodes
// encodes again to as many bytes, and these to the same once more; nothing costs more than a multiple of its size.
#include <fmt/format.h>

#include <functional>
#include <optional>

#include "sdk/wire/changes.h"
#include "sdk/wire/direct.h"
#include "sdk/wire/messages.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_bound.h"

namespace weir::fuzz {
namespace {

using namespace wire;  // NOLINT: this is about all of it

Bytes encode_whole(const Commit& commit, BytesView bytes) {
  std::vector<BytesView> frames;
  for (const FrameAt& frame : commit.frames) frames.push_back(bytes.subspan(frame.position, frame.size));
  Bytes out;
  encode(commit, frames, out);
  return out;
}

Bytes encode_delivery(const DeliveryView& delivery) {
  Bytes out;
  ByteWriter writer(out);
  writer.put(static_cast<std::uint32_t>(delivery.batches.size()));
  for (const DeliveryHeader& batch : delivery.batches) writer.raw(std::as_bytes(std::span(&batch, 1)));
  for (const BytesView records : delivery.records) writer.raw(records);
  return out;
}

/// What the bytes mean, encoded again; nothing where they are refused. Maps say the same in many ways: `exact` is
/// false.
struct Decoder {
  const char* name;
  bool exact;
  std::function<std::optional<Bytes>(BytesView)> again;
};

template <typename Decode, typename Encode>
Decoder decoder(const char* name, bool exact, Decode decode, Encode encode_value) {
  return {name, exact, [=](BytesView bytes) -> std::optional<Bytes> {
            const auto value = decode(bytes);
            if (!value) return std::nullopt;
            return encode_value(*value);
          }};
}

const std::vector<Decoder>& decoders() {
  static const std::vector<Decoder> all = {
      {"a commit", true,
       [](BytesView bytes) -> std::optional<Bytes> {
         const auto commit = decode_commit(bytes, 0);
         if (!commit.ok()) return std::nullopt;
         return encode_whole(*commit, bytes);
       }},
      decoder("leases", true, decode_leases, encode_leases),
      decoder("state", true, decode_state, encode_state),
      decoder("a requeued record", true, decode_requeued, encode_requeued),
      decoder("a condemned record", true, decode_condemned, encode_condemned),
      decoder("a suspect", true, decode_suspect, encode_suspect),
      decoder("totals", true, decode_totals, encode_totals),
      decoder("measurements", true, decode_measured, encode_measured),
      decoder("shards", true, decode_shards, encode_shards),
      decoder("a sentence", true, decode_sentence, encode_sentence),
      decoder("a delivery", true, decode_delivery, encode_delivery),
      decoder("a dead letter", true, decode_dead_letter, [](const DeadLetter& letter) { return encode(letter); }),
      decoder("a hello", false, decode_worker_hello, [](const WorkerHello& hello) { return encode(hello); }),
      decoder("a welcome", false, decode_worker_welcome, [](const WorkerWelcome& welcome) { return encode(welcome); }),
      {"a header", true,
       [](BytesView bytes) -> std::optional<Bytes> {
         const auto header = decode_header(bytes);
         if (!header) return std::nullopt;
         return message(*header, body_of(bytes));
       }},
      decoder("local state", true, decode_local, encode_local),
      decoder("peers", true, decode_peers, encode_peers),
      decoder("what was sent to peers", true, decode_routed, encode_routed),
      {"a message from worker to worker", true,
       [](BytesView bytes) -> std::optional<Bytes> {
         const auto header = decode_direct(bytes);
         if (!header) return std::nullopt;
         return direct_message(*header, records_of(bytes));
       }},
  };
  return all;
}

Bytes frame_of(std::uint32_t stream) {
  Bytes frame;
  ByteWriter writer(frame);
  const FrameHeader header{stream, 2, 3, 4};
  const BatchHeader batches[] = {{1, 2, 10, 0, 5, 6}, {7, 1, 5, 0, 8, 9}};
  writer.raw(std::as_bytes(std::span(&header, 1)));
  writer.raw(std::as_bytes(std::span(batches)));
  writer.raw(as_bytes("fifteen letters"));
  return frame;
}

}  // namespace

std::vector<Bytes> seeds() {
  const Bytes changes = [] {
    Bytes bytes;
    append_change(bytes, {Space::kState, as_bytes("name"), as_bytes("key"), as_bytes("value")});
    return bytes;
  }();
  Commit commit;
  commit.transaction = 1;
  commit.consumed = {{1, 2, 3, 4}, {1, 3, 0, 7}};
  commit.advanced = {{5, -6}};
  commit.splits = {{7, true, as_bytes("position")}};
  commit.splits_found = {"a.txt", ""};
  commit.finished = {8, 9};
  commit.counters = {{1, 2, 3, 4, 5}};
  commit.causes = {{1, true, "utf8", 6}};
  commit.changes = {{1, 2, changes}};
  commit.emitted = {{3, 4, 50}};
  commit.published = {{3, 2}};
  commit.taken = {{3, 1, 4, 1}};
  const Bytes first = frame_of(0);
  const Bytes second = frame_of(1);
  Bytes body;
  encode(commit, {first, second}, body);
  Lease lease;
  lease.kind = LeaseKind::kSplit;
  lease.split = "part 1";
  lease.position = as_bytes("here");
  Measured measured;
  measured.busy_ratio = 0.5F;
  measured.process_buckets = {1, 2, 3};
  measured.end_to_end_buckets = {4};
  measured.hot_keys = {{1, 100, {{Bytes(3), 50}, {{}, 7}}}};
  DeliveryView delivery;
  delivery.batches = {{0, 1, 2, 5, 0, 0, 0}, {0, 2, 1, 3, 0, 0, 0}};
  delivery.records = {as_bytes("12345"), as_bytes("678")};
  DeadLetter letter;
  letter.stream = "words";
  letter.reason = "it cannot be counted";
  letter.key_bytes = letter.value_bytes = as_bytes("\xa1k");
  WorkerHello hello;
  hello.stage = "count";
  hello.inbox = "ipc:///run/w-count-1.ipc";
  hello.host = "here";
  WorkerWelcome welcome;
  welcome.incarnation = Incarnation(1ULL << 32);
  welcome.commits = "tcp://127.0.0.1:1";
  welcome.topology = "{}";
  const Bytes bodies[] = {
      body,
      encode_leases({lease, lease}),
      encode_state({1, 2, true, changes}),
      encode_requeued({1, 2, 3, Requeue::kLetter, as_bytes("key"), encode(letter)}),
      encode_condemned({1, 2, 3, 4, 5, "it killed its worker"}),
      encode_suspect({1, Incarnation(2), 3, 4, "it killed its worker"}),
      encode_totals({1, 2}),
      encode_measured(measured),
      encode_shards({1, 2, 3}),
      encode_sentence("why"),
      encode_delivery(delivery),
      encode(letter),
      encode(hello),
      encode(welcome),
      message({MessageType::kCommit, kWireVersion, 0, 1, 2}, body),
      encode_local({{1, 2, 3}, {4, 5, 6}}),
      encode_peers({1, {{Incarnation(1), "ipc:///run/w.ipc", {1}, {2, 3}}}}),
      encode_routed({1, {{2, Incarnation(3), 4}}}),
      direct_message({MessageType::kRecords, kWireVersion, 1, 2, 3, 4, 5, 6, 7, 0}, as_bytes("records"))};
  std::vector<Bytes> all;
  for (std::size_t i = 0; i < std::size(bodies); ++i) all.push_back(chosen(static_cast<std::uint8_t>(i), bodies[i]));
  all.push_back(chosen(12, encode_refusal(Refusal::kLate, "nothing is left")));
  return all;
}

}  // namespace weir::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace weir;  // NOLINT
  if (size == 0) return 0;
  const auto& decoders = fuzz::decoders();
  const auto& decoder = decoders[bytes[0] % decoders.size()];
  const BytesView body = fuzz::input_of(bytes + 1, size - 1);
  std::optional<Bytes> again;
  {
    const fuzz::MemoryBound bound((64 << 10) + 64 * size);
    again = decoder.again(body);
  }
  if (!again) return 0;
  WEIR_CHECK(!decoder.exact || again->size() == body.size(),
             fmt::format("{} of {} bytes is of {} when it is encoded again", decoder.name, body.size(), again->size()));
  WEIR_CHECK(decoder.again(*again) == again,
             fmt::format("{} that was decoded and encoded again is not what it was", decoder.name));
  return 0;
}

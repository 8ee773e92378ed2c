// SPDX-License-Identifier: Apache-2.0
#include "broker/server/letter_desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "broker/server/letter_found.h"
#include "broker/server/letters_json.h"
#include "sdk/base/clock.h"

namespace weir::server {

using wire::Refusal;

namespace {

constexpr std::size_t kAskedMax = 64;
constexpr std::size_t kIdsMax = 100'000;
constexpr std::size_t kListsMax = 8;
constexpr int kTriesMax = 5;

/// Whether letters lie in the same places: where not, what could not be read may have been moved meanwhile.
bool same_places(const std::vector<core::RestoreJob::Part>& a, const std::vector<core::RestoreJob::Part>& b) {
  return std::ranges::equal(a, b, [](const core::RestoreJob::Part& one, const core::RestoreJob::Part& other) {
    return one.file == other.file &&
           std::ranges::equal(one.tail, other.tail, [](const core::ChangesPlace& x, const core::ChangesPlace& y) {
             return x.sequence == y.sequence && x.place.segment == y.place.segment && x.place.offset == y.place.offset;
           });
  });
}

}  // namespace

bool LetterDesk::take(const core::Client& client, const wire::MapReader& request, core::Outside& outside) {
  const std::string op = request.op();
  const auto refuse = [&](Refusal code, std::string_view sentence) {
    outside.reply(client, wire::encode_refusal(code, sentence));
    return true;
  };
  if (op == "dead_letters") {
    if (lists_ >= kListsMax) return refuse(Refusal::kAgain, "dead letters are being listed for others: try again");
    list(client, outside);
    return true;
  }
  if (op != "drop_letters" && op != "requeue_letters") return false;
  if (asked_.size() >= kAskedMax)
    return refuse(Refusal::kAgain, "too many requests about dead letters wait: try again");
  Asked asked;
  asked.client = client;
  asked.again = op == "requeue_letters";
  asked.stage = request.text("stage");
  if (!asked.stage.empty() && topology_.find_stage(asked.stage) == nullptr) {
    return refuse(Refusal::kUnknown,
                  fmt::format("the topology \"{}\" has no stage \"{}\"", topology_.name, asked.stage));
  }
  if (const msgpack::object* ids = request.find("ids")) {
    if (ids->type != msgpack::type::ARRAY || ids->via.array.size > kIdsMax)
      return refuse(Refusal::kInvalid, fmt::format("\"ids\" must be an array of at most {} texts", kIdsMax));
    for (std::uint32_t i = 0; i < ids->via.array.size; ++i) {
      const msgpack::object& id = ids->via.array.ptr[i];
      if (id.type != msgpack::type::STR) return refuse(Refusal::kInvalid, "an id must be a text");
      asked.ids.emplace(id.via.str.ptr, id.via.str.size);
    }
  }
  if (asked.ids.empty() && asked.stage.empty() && !request.boolean("all"))
    return refuse(Refusal::kInvalid, "say which dead letters: \"ids\", a \"stage\", or \"all\"");
  asked_.push_back(std::move(asked));
  do_work(outside);
  return true;
}

void LetterDesk::do_work(core::Outside& outside) {
  if (reading_ || asked_.empty() || core_.moves_letters()) return;
  reading_ = true;
  auto asked = std::make_shared<Asked>(std::move(asked_.front()));  // the task must be copyable
  asked_.pop_front();
  reader_thread_.post([this, &outside, asked, parts = core_.dead_letter_parts(), max = core_.requeued_bytes_max()] {
    auto found = std::make_shared<Result<core::LetterRequest>>(find(*asked, parts, max));  // as above
    mailbox_.post([this, &outside, asked, found, parts] {
      reading_ = false;
      if (!found->ok() && !same_places(parts, core_.dead_letter_parts()) && ++asked->tries < kTriesMax)
        return asked_.push_front(std::move(*asked));
      if (!found->ok())
        return outside.reply(asked->client, wire::encode_refusal(Refusal::kInvalid, found->error().message));
      core_.move_letters(asked->client, std::move(**found), monotonic_now());
    });
  });
}

Result<core::LetterRequest> LetterDesk::find(const Asked& asked, const std::vector<core::RestoreJob::Part>& parts,
                                             std::uint64_t bytes_max) {
  core::LetterRequest request;
  request.again = asked.again;
  std::set<std::string> missing = asked.ids;
  std::uint64_t bytes = 0;
  const Status read = reader_.dead_letters(parts, [&](const JournalReader::Letter& found) {
    if (!asked.stage.empty() && topology_.stages[found.stage].name != asked.stage) return;
    core::LetterFound letter = letter_found(found, topology_, asked.again);
    if (!asked.ids.empty() && missing.erase(letter.id) == 0) return;
    // What waits to be worked on again is kept in memory.
    if (bytes != 0 && bytes + letter.bytes.size() > bytes_max) {
      ++request.left;
      return;
    }
    bytes += letter.bytes.size();
    request.found.push_back(std::move(letter));
  });
  if (!read.ok()) return read.error();
  for (const std::string& id : missing)
    request.sentences.push_back(
        fmt::format("{}: there is no such dead letter; `weir dead-letters list` names them", id));
  return request;
}

void LetterDesk::list(const core::Client& client, core::Outside& outside, int tries) {
  ++lists_;
  reader_thread_.post([this, &outside, client, tries, parts = core_.dead_letter_parts()] {
    auto letters = letters_json(reader_, parts, topology_);
    mailbox_.post([this, &outside, client, tries, letters, parts] {
      --lists_;
      if (!letters.ok() && !same_places(parts, core_.dead_letter_parts()) && tries + 1 < kTriesMax)
        return list(client, outside, tries + 1);
      if (!letters.ok()) return outside.reply(client, wire::encode_refusal(Refusal::kInvalid, letters.error().message));
      wire::MapWriter answer("dead_letters");
      answer.put("json", *letters);
      outside.reply(client, std::move(answer).finish());
    });
  });
}

}  // namespace weir::server

// SPDX-License-Identifier: Apache-2.0
#include "broker/server/replay_desk.h"

#include <fmt/format.h>

#include <memory>

#include "sdk/base/clock.h"

namespace weir::server {

using wire::Refusal;

namespace {

constexpr int kSearchesMax = 10;
constexpr Monotonic kWrittenBy = std::chrono::seconds(5);  ///< after which a journal stands still, as on a full disk
constexpr std::uint64_t kPortionBytes = 4 << 20;           ///< so much is read before whoever else waits for the reader

Result<std::vector<wire::BatchHeader>> directory_of(BytesView frame) {
  const auto view = wire::FrameView::parse(frame);
  if (!view.ok()) return view.error();
  std::vector<wire::BatchHeader> batches;
  for (std::uint32_t i = 0; i < view->header().batches; ++i) batches.push_back(view->batch(i));
  return batches;
}

}  // namespace

Result<ReplayDesk::Asked> ReplayDesk::understand(const core::Client& client, const wire::MapReader& request) const {
  const Topology& topology = core_.ledger().topology();
  const std::string stage_name = request.text("stage");
  const std::string stream_name = request.text("stream");
  const StageSpec* stage = topology.find_stage(stage_name);
  if (stage == nullptr)
    return {Code::kNotFound, fmt::format("the topology \"{}\" has no stage \"{}\"", topology.name, stage_name)};
  const Stream* stream = topology.find_stream(stream_name);
  if (stream == nullptr)
    return {Code::kNotFound, fmt::format("the topology \"{}\" has no stream \"{}\"", topology.name, stream_name)};
  core::ReplayRequest wanted;
  wanted.stage = static_cast<std::uint32_t>(stage - topology.stages.data());
  wanted.stream = static_cast<std::uint32_t>(stream - topology.streams.data());
  wanted.reset = request.boolean("reset");
  if (const auto why_not = core_.why_no_replay(wanted.stage, wanted.stream)) return {Code::kRefused, *why_not};
  core::ReplayWanted from;
  const std::int64_t offset = request.integer("offset", -1);
  if (request.text("from") == "start") {
    from.kind = core::ReplayWanted::Kind::kStart;
  } else if (offset >= 0) {
    from.kind = core::ReplayWanted::Kind::kOffset;
    from.offset = static_cast<std::uint64_t>(offset);
  } else if (request.find("time_us") != nullptr) {
    from.kind = core::ReplayWanted::Kind::kTime;
    from.time_us = request.integer("time_us", 0);
  } else {
    return {Code::kInvalid, "say where from: \"from\": \"start\", an \"offset\", or a \"time_us\""};
  }
  return Asked{client, std::move(wanted), from, core::ReplaySearch(from, stream->shards), 0, 1, monotonic_now(), false};
}

bool ReplayDesk::take(const core::Client& client, const wire::MapReader& request, core::Outside& outside) {
  if (request.op() != "replay") return false;
  const auto refuse = [&](Refusal code, std::string_view sentence) {
    outside.reply(client, wire::encode_refusal(code, sentence));
    return true;
  };
  if (asked_) return refuse(Refusal::kAgain, "another replay is being prepared: try again in a while");
  auto asked = understand(client, request);
  if (!asked.ok()) {
    return refuse(asked.error().code == Code::kNotFound ? Refusal::kUnknown : Refusal::kInvalid, asked.error().message);
  }
  asked_ = std::move(*asked);
  look_on(outside);
  return true;
}

void ReplayDesk::look_on(core::Outside& outside) {
  const core::StreamState& stream = core_.ledger().stream(asked_->request.stream);
  auto looks = std::make_shared<std::vector<Look>>();  // the task must be copyable
  std::uint64_t bytes = 0;
  for (std::uint64_t frame = std::max(asked_->frame, stream.first_frame());
       frame < stream.end_frame() && bytes < kPortionBytes; ++frame) {
    const core::FrameSlot& slot = stream.slot(frame);
    if (!slot.bytes && !slot.place.written()) {
      // Worked off before it was written: it can be read in a moment.
      if (!looks->empty()) break;
      asked_->waits = true;
      return;
    }
    Look look{frame, slot.place, {std::vector<wire::BatchHeader>()}};
    if (slot.bytes) {
      look.batches = directory_of(slot.bytes.bytes);
    } else {
      bytes += slot.place.size;
    }
    looks->push_back(std::move(look));
  }
  reader_thread_.post([this, &outside, looks] {
    for (Look& look : *looks) {
      if (!look.batches.ok() || !look.batches->empty()) continue;
      const auto frame = reader_.read(look.place);
      look.batches = frame.ok() ? directory_of(*frame) : Result<std::vector<wire::BatchHeader>>(frame.error());
    }
    mailbox_.post([this, &outside, looks] { looked(std::move(*looks), outside); });
  });
}

void ReplayDesk::do_work(core::Outside& outside) {
  if (!asked_ || !asked_->waits) return;
  if (monotonic_now() - asked_->since > kWrittenBy) {
    outside.reply(asked_->client, wire::encode_refusal(Refusal::kAgain,
                                                       "the journal is not written just now, as where a "
                                                       "disk is full: try again when `weir status` tells "
                                                       "of no problem"));
    asked_.reset();
    return;
  }
  asked_->waits = false;
  look_on(outside);
}

void ReplayDesk::looked(std::vector<Look> looks, core::Outside& outside) {
  const core::StreamState& stream = core_.ledger().stream(asked_->request.stream);
  const auto refuse = [&](Refusal code, const std::string& sentence) {
    outside.reply(asked_->client, wire::encode_refusal(code, sentence));
    asked_.reset();
  };
  for (const Look& look : looks) {
    if (!look.batches.ok()) {
      // It may have been copied elsewhere, or released, while it was looked for.
      if (!stream.holds(look.frame)) continue;
      if (!core_.lies_at(asked_->request.stream, look.frame, look.place)) break;
      return refuse(Refusal::kInvalid, look.batches.error().message);
    }
    asked_->search.see(look.frame, *look.batches);
    asked_->frame = look.frame + 1;
  }
  if (!asked_->search.done() && std::max(asked_->frame, stream.first_frame()) < stream.end_frame())
    return look_on(outside);
  auto places = asked_->search.places(stream);
  if (!places.ok()) return refuse(Refusal::kInvalid, places.error().message);
  asked_->request.from = std::move(*places);
  Asked asked = std::move(*asked_);
  asked_.reset();
  if (core_.replay(asked.client, asked.request, monotonic_now())) return;
  // The stream has let go of what was found.
  asked_ = std::move(asked);
  if (++asked_->searches > kSearchesMax)
    return refuse(Refusal::kAgain, "the stream lets go of its oldest records faster than they are found: try again");
  asked_->search = core::ReplaySearch(asked_->wanted, stream.shards());
  asked_->frame = 0;
  look_on(outside);
}

}  // namespace weir::server

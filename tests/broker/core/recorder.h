// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "broker/core/outside.h"
#include "sdk/wire/messages.h"

namespace weir::core {

using wire::MessageType;

/// Remembers what the core wants; does nothing by itself.
class Recorder final : public Outside {
 public:
  struct Sent {
    Incarnation to;
    wire::MessageHeader header;
    Bytes message;
  };
  void append(NewEntry entry) override {
    appended = entry.sequence.plus(1);
    awaited = entry.awaited;
    read_again = entry.read_again;
    payloads.emplace_back(entry.payload.bytes.begin(), entry.payload.bytes.end());
  }
  void sync() override { ++syncs_asked; }
  void connect(Incarnation incarnation, const std::string&) override { connected.push_back(incarnation); }
  void disconnect(Incarnation incarnation) override { disconnected.push_back(incarnation); }
  void send(Incarnation to, Bytes message) override { sent.push_back({to, *wire::decode_header(message), message}); }
  void reply(const Client&, Bytes message) override { replies.push_back(std::move(message)); }
  void read_frame(std::uint32_t, std::uint64_t frame, Place) override { asked_for.push_back(frame); }
  void restore(RestoreJob job) override { restores.push_back(std::move(job)); }
  void compact(CompactJob job) override { compactions.push_back(std::move(job)); }
  void copy(CopyJob job) override { copies.push_back(std::move(job)); }
  void write_checkpoint(CheckpointJob job) override { checkpoints.push_back(std::move(job)); }
  void notify(Notice notice) override {
    notices.push_back(std::move(notice));
    sent_before_notice.push_back(sent.size());
  }

  [[nodiscard]] std::size_t count(MessageType type) const {
    return static_cast<std::size_t>(
        std::count_if(sent.begin(), sent.end(), [&](const Sent& message) { return message.header.type == type; }));
  }
  [[nodiscard]] std::size_t count_to(Incarnation to, MessageType type) const {
    return static_cast<std::size_t>(std::count_if(sent.begin(), sent.end(), [&](const Sent& message) {
      return message.to == to && message.header.type == type;
    }));
  }
  [[nodiscard]] std::string fenced_why() const {
    for (const Notice& notice : notices) {
      if (notice.kind == Notice::Kind::kFenced) return notice.reason;
    }
    return "";
  }

  Sequence appended;
  bool awaited = false;     ///< of the last one
  bool read_again = false;  ///< of the last one, too
  int syncs_asked = 0;
  std::vector<Bytes> payloads;
  std::vector<Incarnation> connected;
  std::vector<Incarnation> disconnected;
  std::vector<Sent> sent;
  std::vector<std::uint64_t> asked_for;
  std::vector<Bytes> replies;
  std::vector<CheckpointJob> checkpoints;
  std::vector<RestoreJob> restores;
  std::vector<CompactJob> compactions;
  std::vector<CopyJob> copies;
  std::vector<Notice> notices;
  std::vector<std::size_t> sent_before_notice;  ///< of each: the messages that had been sent when it came
};

}  // namespace weir::core

// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/model_producer.h"

#include <array>

#include "sdk/wire/map.h"

namespace weir::simulation {

namespace {

constexpr std::uint64_t kWindow = 4;  ///< messages
constexpr Monotonic kPatience{300'000};

}  // namespace

ModelProducer::ModelProducer(World& world, std::uint32_t index)
    : world_(world), index_(index), name_("producer " + std::to_string(index)) {
  die();
}

void ModelProducer::die() {
  if (done_) return;
  ++lives_;
  client_ = "p" + std::to_string(index_) + "." + std::to_string(lives_);
  opened_ = false;
  sent_ = acknowledged_ = 0;
  heard_ = Monotonic(-kPatience.count());
}

void ModelProducer::open() {
  opened_ = false;
  heard_ = world_.now();
  wire::MapWriter message("open");
  message.put("stream", world_.plan().outside());
  message.put("name", name_);
  world_.ask(client_, std::move(message).finish());
}

void ModelProducer::work() {
  if (world_.now() - heard_ > kPatience) return open();
  if (!opened_) return;
  const std::uint64_t all = world_.plan().published;
  while (sent_ < all && sent_ < acknowledged_ + kWindow) publish(++sent_);
  if (acknowledged_ < all) return;
  complete_ = true;
  if (!world_.all_published()) {
    heard_ = world_.now();  // nothing to say; the broker may forget the session
    return;
  }
  wire::MapWriter message("end");
  message.put("session", session_);
  world_.ask(client_, std::move(message).finish());
}

void ModelProducer::publish(std::uint64_t number) {
  if (number <= sent_most_) ++world_.outcome().messages_resent;
  sent_most_ = std::max(sent_most_, number);
  msgpack::sbuffer records;
  msgpack::packer<msgpack::sbuffer> packer(records);
  packer.pack_array(Plan::kNumbersPerMessage);
  for (std::uint64_t i = 0; i < Plan::kNumbersPerMessage; ++i) {
    const std::array<std::uint64_t, 3> value = {world_.plan().number_of(index_, number, i),
                                                world_.plan().splits + index_, 0};
    packer.pack_array(3);
    packer.pack(value[0] % world_.plan().keys);
    packer.pack(value);
    packer.pack(value[0]);
  }
  wire::MapWriter message("publish");
  message.put("session", session_);
  message.put("number", number);
  message.put_packed("records", as_bytes({records.data(), records.size()}));
  world_.ask(client_, std::move(message).finish());
}

void ModelProducer::on_answer(BytesView message) {
  const auto map = wire::MapReader::parse(message);
  if (!map.ok()) return world_.problem("the broker's answer is no map");
  const std::string op = map->op();
  heard_ = world_.now();
  if (op == "opened") {
    if (opened_) return;
    opened_ = true;
    session_ = static_cast<std::uint64_t>(map->integer("session", 0));
    sent_ = acknowledged_ = static_cast<std::uint64_t>(map->integer("last", 0));
    world_.remembered(name_, acknowledged_);
    world_.settled(name_, acknowledged_);  // it will not be sent again
  } else if (op == "acknowledged") {
    if (!opened_) return;
    acknowledged_ = std::max(acknowledged_, static_cast<std::uint64_t>(map->integer("number", 0)));
    if (acknowledged_ > sent_) return world_.problem("a message was acknowledged that was not sent");
    world_.settled(name_, acknowledged_);
  } else if (op == "ended") {
    done_ = true;
  } else if (op == "refused") {
    // Whatever the reason, the way on is the same: say open, and go on behind what the broker holds.
    opened_ = false;
    heard_ = world_.now() - kPatience + Monotonic(20'000);
  } else {
    world_.problem("an unknown answer: " + op);
  }
}

}  // namespace weir::simulation

// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/control_channel.h"

#include "topologies/launcher/supervised.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/socket.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

namespace weir::launcher {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

std::int64_t integer_of(const Json& object, const char* name, std::int64_t fallback) {
  const auto at = object.find(name);
  return at != object.end() && at->is_number_integer() ? at->get<std::int64_t>() : fallback;
}

std::uint64_t count_of(const Json& object, const char* name) {
  const std::int64_t number = integer_of(object, name, 0);
  return number > 0 ? static_cast<std::uint64_t>(number) : 0;
}

}  // namespace

std::optional<BrokerEvent> parse_event(std::string_view line) {
  const Json object = Json::parse(line, nullptr, false);
  if (!object.is_object()) return {};
  BrokerEvent event;
  event.event = text_of(object, "event");
  if (event.event.empty()) return {};
  event.endpoint = text_of(object, "endpoint");
  event.http = text_of(object, "http");
  event.journal = text_of(object, "journal");
  event.state = text_of(object, "state");
  event.records_in = count_of(object, "in");
  event.records_out = count_of(object, "out");
  event.dead_letters = count_of(object, "dead_letters");
  event.waiting = count_of(object, "waiting");
  event.waits_outside = text_of(object, "waits_outside");
  const auto rate = object.find("records_per_second");
  if (rate != object.end() && rate->is_number()) event.records_per_second = rate->get<double>();
  event.stage = text_of(object, "stage");
  event.worker = integer_of(object, "worker", -1);
  event.pid = integer_of(object, "pid", 0);
  event.reason = text_of(object, "reason");
  if (const auto workers = object.find("workers"); workers != object.end() && workers->is_object()) {
    for (const auto& [stage, number] : workers->items()) {
      if (number.is_number_unsigned()) event.workers[stage] = number.get<std::uint32_t>();
    }
  }
  if (const auto libraries = object.find("libraries"); libraries != object.end() && libraries->is_object()) {
    for (const auto& [stage, said] : libraries->items()) {
      LibrarySaid& library = event.libraries[stage];
      if (!said.is_object()) continue;
      const auto settled = said.find("settled");
      library = {text_of(said, "hash"),    text_of(said, "name"),   text_of(said, "origin"),
                 text_of(said, "in_file"), text_of(said, "before"), settled != said.end() && *settled == true,
                 text_of(said, "left")};
    }
  }
  return event;
}

Result<ControlChannel::Pair> ControlChannel::open() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return {Code::kIo, fmt::format("no socket pair for the broker: {}", ::strerror(errno))};
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  return Pair{ControlChannel(std::move(ours)), std::move(theirs)};
}

ControlChannel::ControlChannel(Fd fd) : reader_(std::move(fd)) {}

void ControlChannel::read(const std::function<void(const BrokerEvent&)>& take) {
  reader_.read([&take](std::string_view line) {
    if (const std::optional<BrokerEvent> event = parse_event(line)) take(*event);
  });
}

void ControlChannel::say_died(std::string_view stage, std::uint32_t worker, pid_t pid, bool own_fault,
                              const Ending& ending, const std::optional<LastWork>& record) {
  Json event = {{"event", "died"}, {"stage", std::string(stage)}, {"worker", worker},
                {"pid", pid},      {"own_fault", own_fault},      {"cause", cause_text(ending)}};
  if (record) {
    const bool again = record->doing == wire::Doing::kRequeued;
    event["record"] = {{"stream", record->stream},
                       {"shard", record->shard},
                       {"offset", record->offset},
                       {"requeued", again ? record->requeued : 0},
                       {"producer", again ? 0 : record->producer},
                       {"alone", record->alone}};
  }
  send(event.dump());
}

void ControlChannel::say_libraries(const std::map<std::string, LibrarySaid>& own) {
  Json event = {{"event", "libraries"}, {"libraries", Json::object()}};
  for (const auto& [stage, said] : own)
    event["libraries"][stage] = {{"hash", said.hash}, {"name", said.name}, {"origin", said.origin}};
  send(event.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void ControlChannel::say_upgrade_failed(std::string_view stage, std::string_view hash, std::string_view reason) {
  const Json event = {{"event", "upgrade_failed"},
                      {"stage", std::string(stage)},
                      {"hash", std::string(hash)},
                      {"reason", std::string(reason)}};
  send(event.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void ControlChannel::send(std::string_view line) {
  queue_ += line;
  queue_ += '\n';
  write_some();
}

void ControlChannel::write_some() {
  while (!queue_.empty() && reader_.open()) {
    const ssize_t sent = ::send(reader_.fd(), queue_.data(), queue_.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {  // the broker is gone; its end is noticed where it is reaped
      queue_.clear();
      return;
    }
    queue_.erase(0, static_cast<std::size_t>(sent));
  }
}

}  // namespace weir::launcher

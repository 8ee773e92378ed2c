// SPDX-License-Identifier: Apache-2.0
#include "weir/testing_abi.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sdk/base/log.h"
#include "sdk/topology/hot_keys.h"
#include "sdk/wire/key.h"
#include "stages/host/chain.h"
#include "stages/host/lent_bytes.h"
#include "stages/host/library.h"
#include "stages/host/memory_engine.h"
#include "stages/host/memory_journal.h"
#include "stages/host/runner.h"

// The C functions of weir/testing_abi.h over the worker's own code: a topology of one stage, an engine and a journal in
// memory, and the runner, turned by hand.

using namespace weir;
using namespace weir::host;

namespace {

std::vector<std::string> port_names(const char* const* names, const char* otherwise, bool none) {
  if (names == nullptr) return none ? std::vector<std::string>() : std::vector<std::string>{otherwise};
  std::vector<std::string> list;
  for (; *names != nullptr; ++names) list.emplace_back(*names);
  return list;
}

/// Copies `from` into `*to` as far as the caller knows the structure.
template <typename T>
int give(T from, T* to) {
  const std::uint32_t size = to->struct_size;
  from.struct_size = size;
  std::memcpy(to, &from, std::min<std::size_t>(size, sizeof(T)));
  return WEIR_OK;
}

}  // namespace

struct weir_testing {
  weir_testing(const char* library, const char* plugin, const char* config, const weir_testing_options& options);

  void start();
  /// Turns the runner until nothing more happens. False: the worker has ended.
  bool work();
  void restart();
  void crash();
  /// Decodes what the journal keeps of dead letters and state, for the calls that hand them out one by one.
  void look();

  Topology topology;
  std::string failure;
  std::unique_ptr<Libraries> libraries;
  std::unique_ptr<MemoryJournal> journal;
  std::unique_ptr<MemoryEngine> engine;
  std::unique_ptr<Chain> chain;
  std::unique_ptr<Runner> runner;
  Monotonic now{0};

  struct Entry {
    std::uint32_t shard = 0;
    const MemoryJournal::EntryKey* key = nullptr;
    const Bytes* value = nullptr;
  };
  std::vector<Entry> states;
  std::vector<wire::DeadLetter> letters;

 private:
  void describe(const weir_descriptor& plugin, const char* config, const weir_testing_options& options);
  bool turn_until_idle();
};

weir_testing::weir_testing(const char* library, const char* plugin, const char* config,
                           const weir_testing_options& options) {
  static std::once_flag quiet;
  std::call_once(quiet, [] { log::start("test", "error"); });
  libraries = std::make_unique<Libraries>(std::vector<std::string>{library});
  const auto found = libraries->find(plugin);
  if (!found.ok()) {
    failure = found.error().message;
    return;
  }
  describe(**found, config, options);
  journal = std::make_unique<MemoryJournal>(topology, 0);
  start();
}

void weir_testing::describe(const weir_descriptor& plugin, const char* config, const weir_testing_options& options) {
  topology.name = "test";
  topology.broker.transaction_bytes_max =
      options.transaction_bytes_max != 0 ? options.transaction_bytes_max : std::uint64_t{8} << 20;
  StageSpec stage;
  stage.name = "stage";
  stage.plugin = plugin.name;
  stage.config = config;
  stage.retries = options.retries;
  stage.then = options.then == WEIR_TESTING_SKIP   ? OnErrorThen::kSkip
               : options.then == WEIR_TESTING_FAIL ? OnErrorThen::kFail
                                                   : OnErrorThen::kDeadLetter;
  stage.commit_after = std::chrono::milliseconds(50);
  stage.kind = plugin.kind == WEIR_KIND_SOURCE ? PluginKind::kSource
               : plugin.kind == WEIR_KIND_SINK ? PluginKind::kSink
                                               : PluginKind::kStage;
  stage.keyed = (plugin.flags & WEIR_FLAG_KEYED) != 0;
  stage.sharing = static_cast<Sharing>(plugin.sharing);
  const auto add = [&](const std::string& port, std::vector<PortBinding>& ports) -> Stream& {
    ports.push_back({port, static_cast<std::uint32_t>(topology.streams.size())});
    Stream& stream = topology.streams.emplace_back();
    stream.name = port;
    return stream;
  };
  for (const std::string& port : port_names(plugin.inputs, "in", plugin.kind == WEIR_KIND_SOURCE)) {
    Stream& stream = add(port, stage.inputs);
    stream.shards = std::max(options.shards, 1U);
    if (stage.keyed) stream.partition = PartitionBy::kHash;
  }
  for (const std::string& port : port_names(plugin.outputs, "out", plugin.kind == WEIR_KIND_SINK)) {
    add(port, stage.outputs);
  }
  topology.stages.push_back(std::move(stage));
  if (options.hot_keys == 0 || plugin.merge == nullptr) return;
  for (const PortBinding& input : topology.stages[0].inputs) topology.streams[input.stream].hot_keys = HotKeys::kSplit;
  add_hot_key_streams(topology);
}

void weir_testing::start() {
  runner.reset();
  chain.reset();
  failure.clear();
  engine = std::make_unique<MemoryEngine>(topology, 0, *journal);
  chain = std::make_unique<Chain>(topology, 0, 0);
  const Status created =
      chain->create([&](const StageSpec& spec) { return libraries->find(spec.plugin); },
                    [](const StageSpec& spec, const weir_descriptor&) { return Result(spec.config); });
  if (!created.ok()) {
    failure = created.error().message;
    return;
  }
  runner = std::make_unique<Runner>(
      topology, *chain, *engine,
      RunnerClock{[this] { return now; }, [] { return 1; }, [this](Monotonic time) { now += time; }});
}

bool weir_testing::turn_until_idle() {
  while (true) {
    const std::uint64_t before = engine->committed();
    if (runner->turn()) return false;
    if (engine->idle() && engine->committed() == before) return true;
  }
}

bool weir_testing::work() {
  if (!failure.empty()) return false;
  now += std::chrono::seconds(1);
  engine->grant_publishing(topology.broker.transaction_bytes_max);
  if (turn_until_idle()) return true;
  failure = engine->failure().empty() ? "the worker ended" : engine->failure();
  return false;
}

void weir_testing::restart() {
  if (journal == nullptr) return;
  if (work()) {
    Event event;
    event.kind = Event::Kind::kDrain;
    engine->post(event);
    event.kind = Event::Kind::kStop;
    engine->post(event);
    turn_until_idle();
  }
  start();
}

void weir_testing::crash() {
  if (!failure.empty()) return;
  engine->crash_at_next_commit();
  work();
  start();
}

void weir_testing::look() {
  states.clear();
  letters.clear();
  if (journal == nullptr) return;
  work();
  for (std::uint32_t lane = 0; lane < std::max(journal->lanes(), 1U); ++lane) {
    for (const auto& [key, value] : journal->entries(0, lane, wire::Space::kState)) {
      states.push_back({lane, &key, &value});
    }
    for (const auto& [key, value] : journal->entries(0, lane, wire::Space::kDeadLetter)) {
      if (auto letter = wire::decode_dead_letter(value)) letters.push_back(std::move(*letter));
    }
  }
}

extern "C" {

weir_testing* weir_testing_open(const char* library, const char* plugin, const char* config,
                                const weir_testing_options* options) {
  weir_testing_options known{};
  if (options != nullptr) {
    std::memcpy(&known, options, std::min<std::size_t>(options->struct_size, sizeof(known)));
  }
  return new weir_testing(library, plugin, config != nullptr ? config : "{}", known);
}

void weir_testing_close(weir_testing* testing) { delete testing; }

const char* weir_testing_failure(weir_testing* testing) {
  return testing->failure.empty() ? nullptr : testing->failure.c_str();
}

namespace {

int feed(weir_testing* testing, const char* port, std::uint32_t shard, const weir_record* record, bool hot) {
  if (testing->journal == nullptr) return WEIR_ERROR;
  for (const PortBinding& input : testing->topology.stages[0].inputs) {
    const HotKeys kind = testing->topology.streams[input.stream].hot_keys;
    if (input.port != port || (kind == HotKeys::kShared) != hot || kind == HotKeys::kPartials) continue;
    if (shard >= testing->topology.streams[input.stream].shards) return WEIR_ERROR;
    wire::RecordRef ref{record->timestamp, view(record->key), view(record->value), view(record->headers)};
    if (ref.key.empty()) ref.key = wire::nil_bytes();
    if (ref.value.empty()) ref.value = wire::nil_bytes();
    testing->journal->feed(input.stream, shard, ref);
    return WEIR_OK;
  }
  return WEIR_ERROR;
}

}  // namespace

int weir_testing_feed(weir_testing* testing, const char* port, std::uint32_t shard, const weir_record* record) {
  return feed(testing, port, shard, record, false);
}

int weir_testing_feed_hot(weir_testing* testing, const char* port, std::uint32_t shard, const weir_record* record) {
  return feed(testing, port, shard, record, true);
}

std::int64_t weir_testing_shard(weir_testing* testing, weir_bytes key) {
  if (testing->journal == nullptr || testing->topology.stages[0].inputs.empty()) return 0;
  const Stream& stream = testing->topology.streams[testing->topology.stages[0].inputs[0].stream];
  if (stream.partition == PartitionBy::kNone && stream.shards == 1) return 0;
  Bytes canonical;
  if (!wire::canonical_key(view(key), canonical).ok()) return -1;
  return wire::shard_by_hash(canonical, stream.shards).value();
}

void weir_testing_run(weir_testing* testing) { testing->work(); }

void weir_testing_advance(weir_testing* testing, std::int64_t time) {
  if (!testing->work()) return;
  testing->journal->advance(time);
  testing->work();
}

void weir_testing_finish(weir_testing* testing) {
  if (!testing->work()) return;
  testing->journal->end();
  testing->work();
}

void weir_testing_restart(weir_testing* testing) { testing->restart(); }
void weir_testing_crash(weir_testing* testing) { testing->crash(); }

std::size_t weir_testing_output_count(weir_testing* testing) {
  testing->work();
  return testing->journal != nullptr ? testing->journal->emitted().size() : 0;
}

int weir_testing_output_at(weir_testing* testing, std::size_t index, weir_testing_output* output) {
  if (testing->journal == nullptr || index >= testing->journal->emitted().size()) return WEIR_ERROR;
  const MemoryJournal::Emitted& emitted = testing->journal->emitted()[index];
  const auto& streams = testing->topology.streams;
  const auto& bindings = testing->topology.stages[0].inputs;
  // Output streams come behind those of the input ports.
  const auto inputs = static_cast<std::uint32_t>(
      std::ranges::count_if(bindings, [&](const PortBinding& input) { return !is_added(streams[input.stream]); }));
  return give(
      {0, emitted.stream - inputs, emitted.timestamp, lend(emitted.key), lend(emitted.value), lend(emitted.headers)},
      output);
}

void weir_testing_forget_outputs(weir_testing* testing) {
  testing->work();
  if (testing->journal != nullptr) testing->journal->forget_emitted();
}

std::size_t weir_testing_dead_letter_count(weir_testing* testing) {
  testing->look();
  return testing->letters.size();
}

int weir_testing_dead_letter_at(weir_testing* testing, std::size_t index, weir_testing_dead_letter* letter) {
  if (index >= testing->letters.size()) return WEIR_ERROR;
  const wire::DeadLetter& found = testing->letters[index];
  const Stream* stream = testing->topology.find_stream(found.stream);
  const auto port = stream != nullptr ? static_cast<std::uint32_t>(stream - testing->topology.streams.data()) : 0;
  return give({0, found.attempts, port, found.shard.value(), found.offset.value(), found.timestamp,
               lend(found.key_bytes), lend(found.value_bytes), lend(found.headers), lend(found.reason)},
              letter);
}

std::size_t weir_testing_state_count(weir_testing* testing) {
  testing->look();
  return testing->states.size();
}

int weir_testing_state_at(weir_testing* testing, std::size_t index, weir_testing_state* state) {
  if (index >= testing->states.size()) return WEIR_ERROR;
  const weir_testing::Entry& entry = testing->states[index];
  return give({0, entry.shard, lend(std::get<0>(*entry.key)), lend(std::get<1>(*entry.key)), lend(*entry.value)},
              state);
}

std::size_t weir_testing_split_count(weir_testing* testing) {
  testing->work();
  return testing->journal != nullptr ? testing->journal->splits().size() : 0;
}

int weir_testing_split_at(weir_testing* testing, std::size_t index, weir_testing_split* split) {
  if (testing->journal == nullptr || index >= testing->journal->splits().size()) return WEIR_ERROR;
  const MemoryJournal::Split& found = testing->journal->splits()[index];
  return give({0, found.ended ? 1U : 0U, lend(found.id), lend(found.position)}, split);
}

weir_bytes weir_testing_position(weir_testing* testing, std::uint32_t shard) {
  testing->work();
  if (testing->journal == nullptr) return {};
  const MemoryJournal::Entries& entries = testing->journal->entries(0, shard, wire::Space::kPosition);
  return entries.empty() ? weir_bytes{} : lend(entries.begin()->second);
}

std::uint64_t weir_testing_errors(weir_testing* testing, const char* cause) {
  testing->work();
  return testing->journal != nullptr ? testing->journal->causes(0, false, cause) : 0;
}

std::uint64_t weir_testing_dropped(weir_testing* testing, const char* cause) {
  testing->work();
  return testing->journal != nullptr ? testing->journal->causes(0, true, cause) : 0;
}

std::uint64_t weir_testing_transactions(weir_testing* testing) {
  testing->work();
  return testing->journal != nullptr ? testing->journal->transactions() : 0;
}

int weir_testing_finished(weir_testing* testing) {
  testing->work();
  return testing->journal != nullptr && testing->journal->finished() ? 1 : 0;
}

}  // extern "C"

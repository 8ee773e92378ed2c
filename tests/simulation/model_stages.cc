// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/model_stages.h"

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>
#include <vector>

#include "tests/simulation/worker_process.h"
#include "weir/sink.h"
#include "weir/source.h"
#include "weir/stage.h"

namespace weir::simulation {
namespace {

using Numbers = std::vector<std::uint64_t>;

/// Emits the numbers that are its split modulo the number of splits, in rising order, a few at a time.
class NumberSource : public Source {
 public:
  void splits(SplitList& list) override {
    for (std::uint32_t split = 0; split < plan_.splits; ++split) list.add(std::to_string(split));
  }
  Progress read(Split& split, Context& out) override {
    if (world_.below(3) == 0 || (plan_.moves && world_.below(3) != 0)) return Progress::kEmpty;
    const std::uint64_t which = std::stoull(std::string(split.id()));
    const std::uint64_t total = (plan_.numbers + plan_.splits - 1 - which) / plan_.splits;
    auto position = split.position<std::uint64_t>();
    for (std::uint64_t left = world_.below(12); left > 0 && position < total && !out.full(); --left) {
      const std::uint64_t number = which + position++ * plan_.splits;
      out.emit(number % plan_.keys, Numbers{number, which, plan_.level_of(number)},
               {.timestamp = static_cast<Timestamp>(number)});
    }
    split.set_position(position);
    // Numbers of this split that come later are larger.
    if (position > 0) out.watermark(static_cast<Timestamp>(which + (position - 1) * plan_.splits));
    return position == total ? Progress::kEnd : Progress::kMore;
  }

 private:
  World& world_ = WorkerProcess::at_work().world();
  const Plan& plan_ = world_.plan();
};

/// The same, which acknowledges outside what is settled.
class NumberSourceTold final : public NumberSource {
 public:
  void on_durable(Split& split) override {
    WorkerProcess& process = WorkerProcess::at_work();
    process.world().acknowledged(process, std::string(split.id()), split.position<std::uint64_t>());
  }
};

class Pass final : public Stage {
 public:
  static constexpr bool kKeyed = false;
  void process(const RecordView& in, Context& out) override {
    if (plan_.levels != 0) {
      ++world_.outcome().records_by_priority;
      if (in.shard() != plan_.level_of(in.value<Numbers>()[0]))
        world_.problem("a record is in another lane than its own");
    }
    if (plan_.kills_on_the_way(in.value<Numbers>()[0])) {
      ++world_.outcome().deaths_on_the_way;
      process_.die_of_record();
    }
    out.emit(in.key(), in.value());
  }

 private:
  WorkerProcess& process_ = WorkerProcess::at_work();
  World& world_ = process_.world();
  const Plan& plan_ = world_.plan();
};

/// Count and sum of each key, after every record and again at the end; fails for poison when it has done half of it.
class Sum final : public Stage {
 public:
  static constexpr bool kKeyed = true;
  static constexpr bool kKeyPreserving = true;

  void process(const RecordView& in, Context& out) override {
    const auto value = in.value<Numbers>();
    const bool bad = !plan_.is_good(value[0]) && world_.fails(value[0]);
    if (bad && plan_.is_killer(value[0])) process_.die_of_record();
    if (world_.chance(plan_.kills_per_million)) process_.die_at_record();
    const bool again = !plan_.is_good(value[0]) && plan_.requeues &&
                       (!plan_.parks || world_.was_kept(value[0]));  // it may come at any time
    const bool waited = plan_.parks && world_.may_park(value[0] % plan_.keys);
    if (!again && !waited && !plan_.sums_again() && out.watermark() && in.timestamp() <= *out.watermark()) {
      world_.problem("a record came behind its watermark (I8)");
    }
    if (world_.has(Bug::kFailureKeepsChange) && bad) {
      const auto* kept = out.find_state<Numbers>();
      if (kept != nullptr) ++const_cast<Numbers&>(*kept)[0];
    }
    const auto shard = plan_.shard_of(in.key<std::uint64_t>(), world_.topology().find_stream("numbers")->shards);
    if (shard && *shard != in.shard()) world_.problem("a record came to another shard than its key's");
    if (plan_.partition == PartitionBy::kRange) ++world_.outcome().records_by_range;
    if (plan_.partition == PartitionBy::kModulo) ++world_.outcome().records_by_modulo;
    auto& sum = out.state<Numbers>();  // count, sum, last number by where it comes from
    if (sum.empty()) sum.resize(2 + plan_.splits + plan_.producers);
    ++sum[0];
    sum[1] += value[0];
    std::uint64_t& last = sum.at(2 + value[1]);
    const bool in_order =
        !plan_.sums_again() && !plan_.splits_hot_keys && (!plan_.unkeyed_stage || value[1] >= plan_.splits);
    if (in_order && !again && last > value[0]) world_.problem("a key's records came out of order (I3)");
    last = value[0] + 1;
    if (out.partial()) {
      ++world_.outcome().records_split;
      sum.push_back(value[0]);  // so that whoever merges it can say each
    }
    if (plan_.sums_again()) {
      out.emit(in.key(), Numbers{sum[0], sum[1], 0, in.stream() == "outside" ? 1U : 0U, in.shard(), in.offset()});
    } else {
      out.emit(in.key(), Numbers{sum[0], sum[1], 0});
    }
    // None of it must stay.
    if (bad) throw std::runtime_error(std::to_string(value[0]));
  }
  void merge(const PartialView& partial, Context& out) override {
    if (world_.chance(plan_.kills_per_million)) process_.die_at_record();
    const auto part = partial.state<Numbers>();
    const std::size_t sources = plan_.splits + plan_.producers;
    if (!part || part->size() <= 2 + sources) return world_.problem("a partial result has nothing in it");
    ++world_.outcome().partials_merged;
    auto& sum = out.state<Numbers>();
    sum.resize(2 + sources);
    std::uint64_t added = 0;
    for (std::size_t i = 2 + sources; i < part->size(); ++i) {
      ++sum[0];
      sum[1] += (*part)[i];
      added += (*part)[i];
      out.emit(partial.key(), Numbers{sum[0], sum[1], 0});
    }
    if ((*part)[0] != part->size() - 2 - sources || (*part)[1] != added)
      world_.problem("a partial result is not what it was made of");
  }
  void finish(Context& out) override {
    out.drain_state<Numbers>([&](ValueView key, const Numbers& sum) {
      out.emit(key, Numbers{sum[0], sum[1], 1}, {.timestamp = 0});
    });
  }

 private:
  WorkerProcess& process_ = WorkerProcess::at_work();
  World& world_ = process_.world();
  const Plan& plan_ = world_.plan();
};

/// Keeps a partial result that it was told to drop.
void drop_state(void* self, std::uint32_t shard) {
  if (shard == WEIR_SHARD_PARTIAL && WorkerProcess::at_work().world().has(Bug::kPartialKept)) return;
  StageAdapter<Sum>::state_drop(self, shard);
}

weir_descriptor sum() {
  weir_descriptor described = stage<Sum>("sum");
  described.state_drop = drop_state;
  return described;
}

/// Counts for itself what the stage before it has counted: their states belong to one transaction.
class Tally final : public Stage {
 public:
  static constexpr bool kKeyed = true;

  void process(const RecordView& in, Context& out) override {
    const auto value = in.value<Numbers>();
    auto& tally = out.state<std::uint64_t>();
    if (value[2] == 0) ++tally;
    if (tally != value[0]) world_.problem("the states of two fused stages come apart");
    out.emit(in.key(), value);
  }

 private:
  World& world_ = WorkerProcess::at_work().world();
};

/// Writes to targets that any process may reach: who has the newest lease owns one, and cuts it to what is committed.
class Out : public Sink {
 public:
  void open(const Target& target) override {
    World::Target& written = world_.target(first_ + target.shard());
    const std::uint64_t tenure = process_.tenure(target.shard());
    const auto committed = target.position<std::uint64_t>();
    if (written.owner > tenure) return;  // a newer one has it
    if (written.records.size() < committed) return world_.problem("a target is shorter than what was committed of it");
    written.owner = tenures_[target.shard()] = tenure;
    written.records.resize(committed);
    lengths_[target.shard()] = committed;
  }
  void write(const RecordView& in) override {
    const auto value = in.value<Numbers>();
    const std::uint32_t at = context().shard();
    ++lengths_[at];
    World::Target& written = world_.target(first_ + at);
    if (world_.has(Bug::kFlushForgotten) && world_.chance(20'000)) return;
    if (written.owner == tenures_[at] && process_.alive()) {
      World::Target::Record record{
          in.key<std::uint64_t>(), value[0], value[1], value[2] != 0, in.shard(), in.offset(), {}};
      if (value.size() > 3)
        record.origin = {value[3] != 0 ? "outside" : "numbers", static_cast<std::uint32_t>(value[4]), value[5]};
      written.records.push_back(std::move(record));
      world_.check_written(first_ + at);
    }
  }
  void flush() override { set_position(lengths_[context().shard()]); }

 protected:
  std::uint32_t first_ = 0;  ///< of its targets among all

 private:
  WorkerProcess& process_ = WorkerProcess::at_work();
  World& world_ = process_.world();
  std::map<std::uint32_t, std::uint64_t> tenures_;
  std::map<std::uint32_t, std::uint64_t> lengths_;
};

class OutByShard final : public Out {
 public:
  static constexpr Sharing kSharing = Sharing::kShard;
};

/// A second reader of the numbers, which comes and goes with the topology.
class Extra final : public Out {
 public:
  static constexpr Sharing kSharing = Sharing::kShard;
  Extra() { first_ = World::kExtraTargets; }
};

}  // namespace

Result<const weir_descriptor*> find_model_stage(const std::string& name) {
  static const std::array kStages = {stage<NumberSource>("numbers"),
                                     stage<NumberSourceTold>("numbers_told"),
                                     stage<Pass>("pass"),
                                     sum(),
                                     stage<Tally>("tally"),
                                     stage<Out>("out"),
                                     stage<OutByShard>("out_by_shard"),
                                     stage<Extra>("extra")};
  for (const weir_descriptor& descriptor : kStages) {
    if (name == descriptor.name) return &descriptor;
  }
  return {Code::kNotFound, "no model of the stage \"" + name + "\""};
}

}  // namespace weir::simulation

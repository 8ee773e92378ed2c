// SPDX-License-Identifier: Apache-2.0
// A topology that changed between two lives of the broker: what goes on, what rests, what is refused.
#include "broker/core/revision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdk/topology/resolved_file.h"
#include "sdk/wire/changes.h"
#include "tests/broker/core/core_fixture.h"
#include "tests/broker/core/old_checkpoint.h"

namespace weir::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kOtherwise = "use another data directory, or --fresh to start over";

/// A journal of entries, and the ledger that they give.
class RevisionTest : public testing::Test {
 protected:
  RevisionTest() : wanted_(small_topology("changes")) {
    wanted_.streams = {small_stream("lines"), small_stream("counts")};
    wanted_.streams[0].partition = PartitionBy::kHash;
    wanted_.streams[0].shards = 2;
    StageSpec read = source_stage();
    read.plugin = "source";
    read.config = "{}";
    wanted_.stages = {read, stage("count", 0, 1), stage("write", 1)};
    for (std::uint32_t i = 0; i < 3; ++i) wanted_.stages[i].host = i;
    wanted_.stages[1].keyed = true;
    wanted_.stages[2].kind = PluginKind::kSink;
    restart();
  }

  static StageSpec stage(std::string name, std::uint32_t input, std::optional<std::uint32_t> output = std::nullopt) {
    StageSpec spec;
    spec.name = std::move(name);
    spec.plugin = "plugin";
    spec.config = "{}";
    spec.inputs = {{"in", input}};
    if (output) spec.outputs = {{"out", *output}};
    return spec;
  }
  /// Adds a stage to the file, as its next one.
  void add(StageSpec spec) {
    spec.host = static_cast<std::uint32_t>(wanted_.stages.size());
    wanted_.stages.push_back(std::move(spec));
  }
  StageSpec take_out(const std::string& name) {
    const auto found = std::ranges::find(wanted_.stages, name, &StageSpec::name);
    StageSpec taken = *found;
    wanted_.stages.erase(found);
    for (std::uint32_t i = 0; i < wanted_.stages.size(); ++i) wanted_.stages[i].host = i;
    return taken;
  }

  /// Another life under what is wanted now. Answers why not, or "".
  std::string restart() {
    const Ledger before = read();
    sentences_.clear();
    Recorder out;
    Core core(begins_with_, {}, out);
    for (std::size_t i = 0; i < payloads_.size(); ++i) apply(core.ledger(), i);
    const auto revised = core.revise(wanted_);
    if (!revised.ok()) return revised.error().message;
    sentences_ = *revised;
    core.start(Reign(1), {1, 1}, Monotonic{1});
    state_ = core.state_name();
    for (Bytes& payload : out.payloads) payloads_.push_back(std::move(payload));
    return "";
  }

  void apply(Ledger& ledger, std::size_t entry) const {
    const Status applied = ledger.apply(Sequence(entry), Buffer::of(Bytes(payloads_[entry])), {1, 4096, 0, 0}, false);
    ASSERT_TRUE(applied.ok()) << applied.error().message;
  }
  /// The ledger, which must be the same from whatever checkpoint it is read.
  Ledger read() const {
    Ledger whole(begins_with_);
    std::vector<Bytes> checkpoints;
    std::vector<Ledger::Fixup> fixups;
    for (std::size_t i = 0; i < payloads_.size(); ++i) {
      apply(whole, i);
      checkpoints.push_back(whole.encode_checkpoint(fixups));
    }
    for (std::size_t from = 0; from < checkpoints.size(); ++from) {
      Ledger part(begins_with_);
      const Status status = part.decode_checkpoint(checkpoints[from]);
      EXPECT_TRUE(status.ok()) << status.error().message;
      for (std::size_t i = from + 1; i < payloads_.size(); ++i) apply(part, i);
      EXPECT_TRUE(part.encode_checkpoint(fixups) == checkpoints.back()) << "from the checkpoint behind entry " << from;
    }
    return whole;
  }

  void commit(const std::string& stage, wire::Commit commit, const std::vector<BytesView>& frames = {}) {
    const Ledger ledger = read();
    const std::uint32_t number = number_of(ledger, stage);
    for (wire::ChangesOf& changes : commit.changes) changes.stage = number;
    Bytes payload = encode_header({EntryType::kTransaction, {}, number, 0});
    wire::encode(commit, frames, payload);
    payloads_.push_back(std::move(payload));
    read();
  }
  static std::uint32_t number_of(const Ledger& ledger, const std::string& stage) {
    return static_cast<std::uint32_t>(ledger.topology().find_stage(stage) - ledger.topology().stages.data());
  }
  static const UnitState& unit(const Ledger& ledger, const std::string& stage) {
    return ledger.units()[ledger.unit_of(number_of(ledger, stage))];
  }

  /// `count` records more in shard 0 of a stream.
  void emit(const std::string& from, std::uint32_t stream, int count) {
    for (int i = 0; i < count; ++i) {
      Bytes frame = frame_of_one(stream);
      wire::patch_offset(frame, 0, Offset(read().stream(stream).next_offset(0)));
      commit(from, {}, {frame});
    }
  }
  /// `stage` works off shard 0 of a stream up to `to`.
  void consume(const std::string& stage, std::uint32_t stream, std::uint64_t to) {
    const Ledger ledger = read();
    const auto place = unit(ledger, stage).find(stream, 0);
    ASSERT_TRUE(place.has_value());
    wire::Commit consumed;
    consumed.consumed = {{stream, 0, unit(ledger, stage).cursor(*place).offset, to}};
    commit(stage, consumed);
  }
  std::uint64_t cursor(const std::string& stage, std::uint32_t stream) {
    const Ledger ledger = read();
    return unit(ledger, stage).cursor(*unit(ledger, stage).find(stream, 0)).offset;
  }
  void keep_state(const std::string& stage) {
    Bytes changes;
    wire::append_change(changes, {wire::Space::kState, {}, {}, wire::nil_bytes()});
    wire::Commit state;
    state.changes = {{0, 0, changes}};
    commit(stage, state);
  }
  /// The source has given all it has, and `stage` its all.
  void end_source() {
    wire::Commit end;
    end.enumeration_ended = true;
    commit("read", end);
  }
  void finish(const std::string& stage) {
    wire::Commit done;
    for (std::uint32_t lane = 0; lane < unit(read(), stage).lanes.size(); ++lane) done.finished.push_back(lane);
    commit(stage, done);
  }

  Topology wanted_;
  Topology begins_with_ = small_topology("changes");
  std::vector<Bytes> payloads_;
  std::vector<std::string> sentences_;
  std::string state_;  ///< as a life began, before anything was settled
};

TEST_F(RevisionTest, EntersATopologyOnceAndAgainOnlyWhenItChanges) {
  EXPECT_EQ(payloads_.size(), 1U);
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(payloads_.size(), 1U);
  wanted_.stages[1].workers = 7;
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(payloads_.size(), 2U);
  EXPECT_TRUE(sentences_.empty());
  EXPECT_EQ(read().topology().stages[1].workers, 7U);
  std::swap(wanted_.stages[0], wanted_.stages[2]);
  wanted_.stages[0].host = 0;
  wanted_.stages[2].host = 2;
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(payloads_.size(), 2U) << "the order in the file is nobody's business";
}

TEST_F(RevisionTest, StartsANewGroupAtTheOldestRecordThatAnotherStillNeeds) {
  emit("read", 0, 10);
  consume("count", 0, 4);
  add(stage("audit", 0));
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(cursor("audit", 0), 4U);
  EXPECT_THAT(
      sentences_,
      ElementsAre("stage \"audit\" is new on stream \"lines\", which holds older records: it starts at the oldest "
                  "that is kept (shard 0 at offset 4; 6 records wait for it)"));
  EXPECT_EQ(unit(read(), "audit").records_backlog, 6U);
  consume("count", 0, 9);
  Ledger ledger = read();
  ledger.release();
  EXPECT_TRUE(ledger.stream(0).holds(4)) << "the new one has not read it";
}

TEST_F(RevisionTest, StartsAGroupThatReplacesAnotherWhereThatOneWas) {
  emit("read", 0, 10);
  consume("count", 0, 4);
  take_out("count");
  add(stage("total", 0, 1));
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(cursor("total", 0), 4U);
  EXPECT_EQ(cursor("count", 0), 4U) << "and the old one keeps its place";
}

TEST_F(RevisionTest, HoldsNothingBackForAStageThatIsGone) {
  add(stage("audit", 0));
  ASSERT_EQ(restart(), "");
  emit("read", 0, 10);
  consume("audit", 0, 2);
  consume("count", 0, 10);
  take_out("audit");
  ASSERT_EQ(restart(), "");
  EXPECT_THAT(
      sentences_,
      ElementsAre("stage \"audit\" is not in the topology any more: its cursors and state rest; 8 records that it "
                  "has not read are kept for it no longer than other stages need them"));
  Ledger ledger = read();
  ledger.release();
  EXPECT_FALSE(ledger.stream(0).holds(2));
  EXPECT_EQ(unit(ledger, "audit").records_backlog, 0U);
  EXPECT_EQ(cursor("audit", 0), 2U);
}

TEST_F(RevisionTest, LetsAStageGoOnWhereItWasIfItsRecordsAreStillThere) {
  add(stage("audit", 0));
  ASSERT_EQ(restart(), "");
  emit("read", 0, 10);
  consume("audit", 0, 6);
  keep_state("audit");
  consume("count", 0, 5);
  const StageSpec audit = take_out("audit");
  ASSERT_EQ(restart(), "");
  emit("read", 0, 3);
  consume("count", 0, 6);
  add(audit);
  EXPECT_EQ(restart(), "");
  EXPECT_THAT(sentences_, ElementsAre("stage \"audit\" is back in the topology: it goes on with what it had"));
  EXPECT_EQ(cursor("audit", 0), 6U);
  const Ledger ledger = read();
  EXPECT_EQ(unit(ledger, "audit").records_backlog, 7U);
  EXPECT_EQ(ledger.changelog(number_of(ledger, "audit")).tail().size(), 1U) << "its state is kept";
}

TEST_F(RevisionTest, RefusesAStageWhoseRecordsAreGoneAndSaysWhich) {
  add(stage("audit", 0));
  ASSERT_EQ(restart(), "");
  emit("read", 0, 10);
  consume("audit", 0, 6);
  const StageSpec audit = take_out("audit");
  ASSERT_EQ(restart(), "");
  consume("count", 0, 9);
  add(audit);
  const std::size_t entries = payloads_.size();
  EXPECT_EQ(restart(),
            "stage \"audit\" is back, but 3 records of stream \"lines\" that it had not read when it left are "
            "gone (shard 0 is at offset 6, the oldest record kept there is 9); give the stage another name to "
            "start at the oldest record that is kept (what it had stays where it is), leave it out, " +
                std::string(kOtherwise));
  EXPECT_EQ(payloads_.size(), entries) << "nothing was entered";
  wanted_.stages.back().name = "audit_2";
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(cursor("audit_2", 0), 9U);
}

TEST_F(RevisionTest, StartsAStageAnewThatCameAndWentWithoutHavingDoneAnything) {
  emit("read", 0, 10);
  consume("count", 0, 4);
  add(stage("audit", 0));
  ASSERT_EQ(restart(), "");
  const StageSpec audit = take_out("audit");
  ASSERT_EQ(restart(), "");
  consume("count", 0, 9);
  add(audit);
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(cursor("audit", 0), 9U);
}

TEST_F(RevisionTest, KeepsWhatWaitsInAStreamThatIsGoneWithItsReaders) {
  emit("read", 0, 5);
  keep_state("count");
  emit("count", 1, 5);
  consume("write", 1, 2);
  const StageSpec write = take_out("write");
  const std::vector<Stream> streams = wanted_.streams;
  wanted_.stages[1].outputs.clear();
  wanted_.streams.pop_back();
  ASSERT_EQ(restart(), "");
  EXPECT_THAT(sentences_, testing::Contains("stream \"counts\" is not in the topology any more: what waits in it stays "
                                            "there"));
  Ledger ledger = read();
  ledger.release();
  EXPECT_TRUE(ledger.stream(1).holds(2));
  wanted_.streams = streams;
  wanted_.stages[1].outputs = {{"out", 1}};
  add(write);
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(cursor("write", 1), 2U);
  EXPECT_EQ(unit(read(), "write").records_backlog, 3U);
}

TEST_F(RevisionTest, RemembersWhatIsGoneWhileNobodyReadsTheStream) {
  add(stage("audit", 1));
  ASSERT_EQ(restart(), "");
  keep_state("count");
  emit("count", 1, 5);
  consume("audit", 1, 1);
  consume("write", 1, 4);
  const StageSpec audit = take_out("audit");
  ASSERT_EQ(restart(), "");
  const std::vector<Stream> streams = wanted_.streams;
  take_out("write");
  wanted_.stages[1].outputs.clear();
  wanted_.streams.pop_back();
  ASSERT_EQ(restart(), "");
  wanted_.streams = streams;
  wanted_.stages[1].outputs = {{"out", 1}};
  add(audit);
  EXPECT_THAT(restart(), HasSubstr("shard 0 is at offset 1, the oldest record kept there is 4"));
}

TEST_F(RevisionTest, KeepsTheCursorOfAnInputThatIsNoLongerRead) {
  wanted_.stages[2].inputs = {{"in", 0}, {"in", 1}};
  ASSERT_EQ(restart(), "");
  emit("read", 0, 4);
  consume("write", 0, 3);
  consume("count", 0, 2);
  wanted_.stages[2].inputs = {{"in", 1}};
  ASSERT_EQ(restart(), "");
  EXPECT_THAT(sentences_, ElementsAre("stage \"write\" no longer reads stream \"lines\": its cursor there is kept"));
  EXPECT_EQ(unit(read(), "write").records_backlog, 0U);
  wanted_.stages[2].inputs = {{"in", 1}, {"in", 0}};
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(cursor("write", 0), 3U);
  EXPECT_EQ(unit(read(), "write").records_backlog, 1U);
}

TEST_F(RevisionTest, LetsEventTimeGoOnWithoutAnInputThatIsNoLongerRead) {
  wanted_.streams.push_back(small_stream("plain"));
  wanted_.streams.push_back(small_stream("joined"));
  StageSpec relay = stage("relay", 1, 3);
  relay.inputs = {{"in", 1}, {"in", 2}};
  wanted_.stages[1].outputs.push_back({"more", 2});
  add(relay);
  add(stage("end", 3));
  ASSERT_EQ(restart(), "");
  ASSERT_EQ(unit(read(), "relay").intake(), Intake::kRanges);
  const auto advance = [&](std::uint32_t lane, Timestamp to) {
    wire::Commit moved;
    moved.advanced = {{lane, to}};
    commit("relay", moved);
  };
  advance(0, 50);
  advance(1, 70);
  EXPECT_EQ(read().stream(3).watermark(), 50);
  wanted_.stages[3].inputs = {{"in", 2}};
  ASSERT_EQ(restart(), "");
  advance(1, 90);
  EXPECT_EQ(read().stream(3).watermark(), 90);
  wanted_.stages[3] = relay;
  wanted_.stages[3].host = 3;
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(read().stream(3).watermark(), 90) << "it never goes back";
}

TEST_F(RevisionTest, RefusesAnotherPluginOrConfigurationWhereStateOrPositionsAreKept) {
  wanted_.stages[1].plugin = "other";
  wanted_.stages[1].config = "{\"a\": 1}";
  wanted_.stages[2].plugin = "other";
  EXPECT_EQ(restart(), "") << "nothing is kept yet";
  keep_state("count");
  wanted_.stages[1].plugin = "plugin";
  EXPECT_EQ(restart(),
            "state of stage \"count\" was made by plugin \"other\", and the plugin is \"plugin\" now; give the "
            "stage another name (it then starts anew, and what this one has rests); " +
                std::string(kOtherwise));
  wanted_.stages[1].plugin = "other";
  wanted_.stages[1].config = "{\"a\": 2}";
  EXPECT_THAT(restart(), HasSubstr("state of stage \"count\" was made by another configuration, and \"config\" differs "
                                   "now (\"a\" was 1 and is 2);"));
  wanted_.stages[1].config = "{ \"a\": 1 }";
  EXPECT_EQ(restart(), "");
  end_source();
  wanted_.stages[0].config = "{\"more\": true}";
  EXPECT_THAT(restart(), HasSubstr("the splits and positions of stage \"read\" were made by another configuration"));
}

TEST_F(RevisionTest, RefusesAStageThatWouldTakeItsInputAnotherWay) {
  add(stage("relay", 1));
  ASSERT_EQ(restart(), "");
  emit("count", 1, 2);
  consume("relay", 1, 1);
  wanted_.stages[3].keyed = true;
  EXPECT_THAT(restart(),
              HasSubstr("stage \"relay\" took its input by ranges of offsets and would take it by whole shards "
                        "now; give the stage another name"));
}

TEST_F(RevisionTest, ShowsTheEndToAConsumerThatComesBehindIt) {
  emit("read", 0, 2);
  end_source();
  consume("count", 0, 2);
  finish("count");
  finish("write");
  ASSERT_TRUE(read().finished());
  add(stage("audit", 0));
  EXPECT_EQ(restart(), "");
  EXPECT_FALSE(read().finished());
  EXPECT_TRUE(read().stream(0).ended);
  finish("audit");
  EXPECT_TRUE(read().finished());
}

TEST_F(RevisionTest, KnowsAtOnceThatItHadFinishedAlsoUnderAnotherFile) {
  emit("read", 0, 2);
  end_source();
  consume("count", 0, 2);
  finish("count");
  const StageSpec write = take_out("write");
  EXPECT_EQ(restart(), "");
  ASSERT_TRUE(read().finished());
  EXPECT_EQ(state_, "starting") << "that there is no more to do is not durable yet";
  add(write);
  EXPECT_EQ(restart(), "");
  finish("write");
  wanted_.stages[1].memory_bytes += 1;
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(state_, "finished");
  add(stage("audit", 0));
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(state_, "starting");
}

TEST_F(RevisionTest, RefusesAProducerToAStreamThatHasEndedAndAnInputBehindTheEnd) {
  end_source();
  finish("count");
  ASSERT_TRUE(read().stream(0).ended);
  StageSpec more = source_stage();
  more.name = "more";
  add(more);
  EXPECT_EQ(restart(), "stream \"lines\" has ended, so that stage \"more\" cannot write to it any more; " +
                           std::string(kOtherwise));
  take_out("more");
  finish("write");
  wanted_.stages[2].inputs = {{"in", 0}, {"in", 1}};
  EXPECT_EQ(restart(), "stage \"write\" has seen the end of its input: stream \"lines\" cannot be added to it; " +
                           std::string(kOtherwise));
}

TEST_F(RevisionTest, LetsAStreamThatRestsEndOnlyWhenItIsBack) {
  const Topology before = wanted_;
  take_out("write");
  wanted_.stages[1].outputs.clear();
  wanted_.streams.pop_back();
  ASSERT_EQ(restart(), "");
  EXPECT_FALSE(read().stream(1).ended);
  wanted_ = before;
  EXPECT_EQ(restart(), "");
  EXPECT_FALSE(read().stream(1).ended);
}

TEST_F(RevisionTest, LeavesAProducerThatIsGoneOutOfTheEnd) {
  StageSpec more = source_stage();
  more.name = "more";
  add(more);
  ASSERT_EQ(restart(), "");
  end_source();
  EXPECT_FALSE(read().stream(0).ended);
  take_out("more");
  ASSERT_EQ(restart(), "");
  EXPECT_TRUE(read().stream(0).ended);
}

TEST_F(RevisionTest, LetsTheEndOfAChainLeaveAndComeBackWithItsState) {
  Stream inner = small_stream("inner");
  inner.transport = Transport::kFused;
  wanted_.streams.push_back(inner);
  const Topology without = wanted_;
  wanted_.stages[1].outputs.push_back({"more", 2});
  add(stage("tail", 2));
  wanted_.stages[3].host = 1;
  wanted_.stages[3].keyed = true;
  const Topology with = wanted_;
  ASSERT_EQ(restart(), "") << "a chain may grow";
  Bytes changes;
  wire::append_change(changes, {wire::Space::kState, {}, {}, wire::nil_bytes()});
  emit("read", 0, 3);
  wire::Commit both;
  both.consumed = {{0, 0, 0, 1}};
  both.changes = {{0, 0, changes}};
  Bytes payload = encode_header({EntryType::kTransaction, {}, 1, 0});
  both.changes[0].stage = 3;
  wire::encode(both, {}, payload);
  payloads_.push_back(payload);
  EXPECT_EQ(read().changelog(3).tail().size(), 1U);

  wanted_ = without;
  ASSERT_EQ(restart(), "");
  Ledger ledger = read();
  EXPECT_TRUE(ledger.topology().stages[3].resting);
  EXPECT_FALSE(unit(ledger, "count").has(3));
  EXPECT_EQ(ledger.changelog(3).tail().size(), 1U);
  consume("count", 0, 2);

  wanted_ = with;
  EXPECT_EQ(restart(), "");
  ledger = read();
  EXPECT_TRUE(unit(ledger, "count").has(3));
  EXPECT_EQ(ledger.changelog(3).tail().size(), 1U);
  EXPECT_EQ(cursor("count", 0), 2U);

  end_source();
  wanted_ = without;
  ASSERT_EQ(restart(), "");
  consume("count", 0, 3);
  finish("count");
  wanted_ = with;
  EXPECT_THAT(restart(),
              HasSubstr("stage \"count\" has seen the end of its input, so that stage \"tail\" fused into it "
                        "would get nothing"));
}

TEST_F(RevisionTest, ReadsAJournalThatHoldsTheNameOnlyUnderWhatItWasWrittenBy) {
  payloads_.clear();
  begins_with_ = wanted_;
  Bytes name_only = encode_header({EntryType::kTopology, {}, 0, 0});
  ByteWriter(name_only).raw(as_bytes(begins_with_.name));
  payloads_.push_back(name_only);
  emit("read", 0, 3);
  consume("count", 0, 1);
  add(stage("audit", 0));
  EXPECT_EQ(restart(), "");
  EXPECT_EQ(cursor("audit", 0), 1U);
  EXPECT_TRUE(read().says_topology());
}

TEST_F(RevisionTest, ReadsACheckpointOfAnEarlierVersionUnderWhatItWasWrittenBy) {
  Ledger old(wanted_);
  const Bytes checkpoint = old_checkpoint(old, 2);
  Ledger read_back(wanted_);
  ASSERT_TRUE(read_back.decode_checkpoint(checkpoint).ok());
  EXPECT_FALSE(read_back.says_topology());
  EXPECT_TRUE(read_back.units()[0].begun) << "nobody knows whether it has done anything";
}

TEST_F(RevisionTest, TakesNoEntryThatGivesNumbersToOthers) {
  emit("read", 0, 1);
  consume("count", 0, 1);
  const auto entry = [&](const Topology& topology) {
    Bytes payload = encode_header({EntryType::kTopology, {}, 0, 0});
    ByteWriter(payload).raw(as_bytes(encode_resolved(topology)));
    Ledger ledger = read();
    return ledger.apply(ledger.next_sequence(), Buffer::of(std::move(payload)), {1, 4096, 0, 0}, false).ok();
  };
  EXPECT_TRUE(entry(wanted_));
  Topology wrong = wanted_;
  std::swap(wrong.stages[1].name, wrong.stages[2].name);
  EXPECT_FALSE(entry(wrong));
  wrong = wanted_;
  wrong.stages.pop_back();
  EXPECT_FALSE(entry(wrong)) << "what is gone must rest, not vanish";
  wrong = wanted_;
  wrong.streams[0].shards = 3;
  EXPECT_FALSE(entry(wrong));
  wrong = wanted_;
  wrong.stages[1].inputs = {{"in", 1}};
  EXPECT_FALSE(entry(wrong));
  wrong = wanted_;
  wrong.name = "another";
  EXPECT_FALSE(entry(wrong));
}

}  // namespace
}  // namespace weir::core

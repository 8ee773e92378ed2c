// SPDX-License-Identifier: Apache-2.0
// A stage that gets another version of its library while it runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sdk/topology/resolved_file.h"
#include "sdk/wire/library_hash.h"
#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kShards = 4;
constexpr std::uint32_t kRead = 0;
constexpr std::uint32_t kWork = 1;
constexpr std::uint32_t kWrite = 2;

/// The library that is called by this letter.
LibraryVersion library(char letter) {
  return {std::string(32, letter), std::string(1, letter) + ".so", std::string("/built/") + letter + ".so"};
}

/// A source, a stage of two workers that keeps state in four shards, and a sink with one target.
Topology upgraded_topology() {
  Topology topology = small_chain("upgraded");
  topology.streams[0].partition = PartitionBy::kHash;
  topology.streams[0].shards = kShards;
  topology.stages[kWork].workers = 2;
  topology.stages[kWork].keyed = true;
  return topology;
}

class UpgradeTest : public CoreFixture {
 protected:
  explicit UpgradeTest(Topology topology = upgraded_topology()) : CoreFixture(std::move(topology)) {
    core_.on_libraries({{kRead, library('a')}, {kWork, library('a')}, {kWrite, library('a')}}, now_);
  }

  wire::MapReader upgrade(const std::string& stage, char letter, bool back = false, bool dry_run = false) {
    wire::MapWriter request("upgrade");
    const LibraryVersion version = library(letter);
    request.put("stage", stage);
    request.put("hash", version.hash);
    request.put("name", version.name);
    request.put("origin", version.origin);
    request.put("back", std::uint64_t{back});
    request.put("dry_run", std::uint64_t{dry_run});
    out_.replies.clear();
    core_.on_client("person", std::move(request).finish(), now_);
    core_.pump(now_);
    settle();
    EXPECT_EQ(out_.replies.size(), 1U);
    return *wire::MapReader::parse(out_.replies.back());
  }
  std::string refusal(const std::string& stage, char letter, bool back = false) {
    const wire::MapReader answer = upgrade(stage, letter, back);
    EXPECT_EQ(answer.op(), "refused");
    return answer.text("error");
  }
  /// A worker that has this library, or, with none, does not say which.
  Peer worker(const std::string& stage, std::uint32_t index, char letter, bool trial = false) {
    wire::WorkerHello said;
    said.stage = stage;
    said.worker = index;
    said.pid = static_cast<std::int64_t>(1000 + out_.connected.size());
    said.inbox = "inproc://nowhere";
    if (letter != 0) said.libraries = library(letter).hash;
    said.trial = trial;
    out_.replies.clear();
    core_.on_client("client", wire::encode(said), now_);
    if (wire::MapReader::parse(out_.replies.back())->op() == "refused") return {};
    Peer peer{out_.connected.back()};
    pids_[peer.incarnation] = said.pid;
    say(peer, MessageType::kReady, {});
    say(peer, MessageType::kCredit, wire::encode_totals({1 << 20, 1000}));
    return peer;
  }
  void pass(std::int64_t us = 20'000) {
    sync();
    for (RestoreJob& job : std::exchange(out_.restores, {})) restored(std::move(job));
    core_.tick(now_ += Monotonic(us));
    settle();
  }
  /// What a job asked for has been read: nothing.
  void restored(RestoreJob job) {
    for (const std::uint32_t lane : job.lanes) {
      wire::StatePart part;
      part.stage = job.parts.front().stage;
      part.shard = lane;
      part.last = true;
      part.ahead = job.ahead;
      core_.on_state(job.incarnation, part);
      if (job.ahead != 0) taken_.push_back({job.incarnation, lane, job.ahead});
    }
    job.finished = true;
    core_.on_restored(std::move(job));
  }
  /// Whoever got a copy says so, and whoever is asked for a shard lets it go.
  void obey(std::vector<Peer*> peers) {
    for (int i = 0; i < 40; ++i) {
      pass();
      for (Peer* peer : peers) {
        for (const auto& [to, lane, number] : std::exchange(taken_, {})) {
          for (Peer* each : peers) {
            if (each->incarnation != to) continue;
            wire::Lease lease;
            lease.kind = wire::LeaseKind::kAhead;
            lease.shard = lane;
            lease.epoch = number;
            say(*each, MessageType::kTaken, wire::encode_leases({lease}));
          }
        }
        for (; heard_[peer->incarnation] < out_.sent.size(); ++heard_[peer->incarnation]) {
          const Recorder::Sent message = out_.sent[heard_[peer->incarnation]];
          if (message.to != peer->incarnation) continue;
          if (message.header.type == MessageType::kDrain) say(*peer, MessageType::kDrained, {});
          if (message.header.type != MessageType::kRevoke) continue;
          const auto leases = wire::decode_leases(wire::body_of(message.message));
          ASSERT_EQ(leases->size(), 1U);
          if (leases->front().kind != wire::LeaseKind::kAhead)
            say(*peer, MessageType::kReleased, wire::encode_leases(*leases));
        }
      }
    }
  }
  void die(const Peer& peer, const std::string& stage, std::uint32_t index) {
    static_cast<void>(stage);
    core_.on_died(kWork, index, pids_.at(peer.incarnation), now_);
    core_.pump(now_);
  }
  [[nodiscard]] nlohmann::json status_of(const std::string& stage) const {
    const nlohmann::json status = nlohmann::json::parse(core_.status_text());
    for (const auto& each : status["stages"])
      if (each["name"] == stage) return each;
    return nullptr;
  }
  /// Shards of `work` by the process that has them.
  [[nodiscard]] std::map<std::int64_t, std::size_t> shares() const {
    std::map<std::int64_t, std::size_t> found;
    const nlohmann::json status = nlohmann::json::parse(core_.status_text());
    for (const auto& each : status["workers"])
      if (each["stage"] == "work") found[each["pid"].get<std::int64_t>()] = each["shards"].size();
    return found;
  }
  std::size_t share(const Peer& peer) {
    const auto found = shares();
    const auto at = found.find(pids_.at(peer.incarnation));
    return at == found.end() ? SIZE_MAX : at->second;
  }
  [[nodiscard]] std::string now_with(std::uint32_t stage) const {
    const StageLibrary* chosen = core_.ledger().library(stage);
    return chosen == nullptr ? "" : chosen->now.name;
  }
  Ledger read_back() {
    Ledger ledger(topology_);
    for (std::uint64_t i = 0; i < out_.payloads.size(); ++i) {
      const Status applied = ledger.apply(Sequence(i), Buffer::of(Bytes(out_.payloads[i])), {1, 4096, 0, 0}, false);
      EXPECT_TRUE(applied.ok()) << applied.error().message;
    }
    return ledger;
  }

  struct Taken {
    Incarnation to;
    std::uint32_t lane = 0;
    std::uint32_t number = 0;
  };
  std::vector<Taken> taken_;
  std::map<Incarnation, std::size_t> heard_;
  std::map<Incarnation, std::int64_t> pids_;
};

TEST_F(UpgradeTest, MovesShardsOneByOneToNewWorkersBesideTheOldOnes) {
  Peer first = worker("work", 0, 'a');
  Peer second = worker("work", 1, 'a');
  obey({&first, &second});
  pass(1'000'000);
  ASSERT_EQ(share(first) + share(second), kShards);
  const wire::MapReader answer = upgrade("work", 'b');
  EXPECT_EQ(answer.op(), "upgraded");
  EXPECT_EQ(answer.text("before_name"), "a.so");
  ASSERT_EQ(out_.notices.back().kind, Notice::Kind::kUpgraded);
  EXPECT_EQ(out_.notices.back().stage, kWork);
  obey({&first, &second});
  EXPECT_EQ(share(first) + share(second), kShards) << "nobody else is there yet";
  EXPECT_EQ(status_of("work")["upgrade"]["state"], "moving");

  Peer third = worker("work", 0, 'b');
  EXPECT_EQ(out_.fenced_why(), "") << "it has the number of one that still works";
  // Only one shard at a time is on its way, and the first one that is new does not take all.
  std::size_t revokes = out_.count(MessageType::kRevoke);
  for (int i = 0; i < 4; ++i) pass();
  EXPECT_LE(out_.count(MessageType::kRevoke), revokes + 1);
  obey({&first, &second, &third});
  EXPECT_EQ(share(third), 2U);
  EXPECT_EQ(share(first) == SIZE_MAX || share(second) == SIZE_MAX, true) << "one new one takes the place of one";
  Peer fourth = worker("work", 1, 'b');
  obey({&first, &second, &third, &fourth});
  EXPECT_EQ(share(third), 2U);
  EXPECT_EQ(share(fourth), 2U);
  EXPECT_EQ(share(first), SIZE_MAX);
  EXPECT_EQ(share(second), SIZE_MAX);
  EXPECT_EQ(status_of("work")["upgrade"]["state"], "moved");
  EXPECT_EQ(status_of("work")["library"]["name"], "b.so");
  EXPECT_EQ(out_.fenced_why(), "");
  die(first, "work", 0);
  die(second, "work", 1);
  EXPECT_EQ(core_.restarts(kWork), 0U) << "who goes is not started again";
  die(third, "work", 0);
  EXPECT_EQ(core_.restarts(kWork), 1U);
  pass(11'000'000);
  EXPECT_FALSE(core_.ledger().library(kWork)->settled) << "a jump of time proves nothing";
}

TEST_F(UpgradeTest, SettlesWhenItsWorkersHaveLivedForAWhile) {
  upgrade("work", 'b');
  Peer first = worker("work", 0, 'b');
  Peer second = worker("work", 1, 'b');
  obey({&first, &second});
  ASSERT_EQ(status_of("work")["upgrade"]["state"], "moved");
  const auto live = [&] {
    for (int i = 0; i < 6; ++i) {
      for (Peer* each : {&first, &second}) say(*each, MessageType::kCredit, wire::encode_totals({1 << 20, 1000}));
      pass(2'000'000);
    }
  };
  live();
  EXPECT_TRUE(core_.ledger().library(kWork)->settled);
  EXPECT_EQ(status_of("work")["upgrade"]["state"], "settled");
  // What comes later is no matter of the upgrade.
  core_.on_upgrade_failed(kWork, library('b').hash, "it died", now_);
  EXPECT_EQ(now_with(kWork), "b.so");
  EXPECT_EQ(out_.notices.back().kind, Notice::Kind::kStageFailed);
}

TEST_F(UpgradeTest, ProvesNothingWhileAWorkerIsStillAtWhatItWasGiven) {
  upgrade("work", 'b');
  Peer first = worker("work", 0, 'b');
  Peer second = worker("work", 1, 'b');
  Peer source = worker("read", 0, 'a');
  obey({&first, &second});
  const Bytes frame = frame_of_one();
  commit(source, {}, {frame});
  settle();
  Peer& at_it = out_.count_to(first.incarnation, MessageType::kDeliver) != 0 ? first : second;
  ASSERT_EQ(out_.count_to(at_it.incarnation, MessageType::kDeliver), 1U);
  const auto live = [&] {
    for (int i = 0; i < 8; ++i) {
      for (Peer* each : {&first, &second, &source})
        say(*each, MessageType::kCredit, wire::encode_totals({1 << 20, 1000}));
      pass(2'000'000);
    }
  };
  live();
  EXPECT_FALSE(core_.ledger().library(kWork)->settled) << "it may hang, and have a long deadline";
  wire::Commit worked_off;
  worked_off.consumed = {{0, 0, 0, 1}};
  commit(at_it, worked_off);
  live();
  EXPECT_TRUE(core_.ledger().library(kWork)->settled);
}

TEST_F(UpgradeTest, GivesNoShardBackToAnOldWorkerThatANewOneHasHad) {
  Peer first = worker("work", 0, 'a');
  Peer second = worker("work", 1, 'a');
  obey({&first, &second});
  pass(1'000'000);
  upgrade("work", 'b');
  Peer third = worker("work", 0, 'b');
  for (int i = 0; i < 3 && share(third) == 0; ++i) obey({&first, &second, &third});
  const std::size_t moved = share(third);
  ASSERT_GT(moved, 0U);
  die(third, "work", 0);
  obey({&first, &second});
  std::size_t held = 0;
  for (const auto& [pid, shards] : shares()) held += shards;
  EXPECT_EQ(held, kShards - moved) << "what the new one may have written waits for the next new one";
  Peer again = worker("work", 0, 'b');
  obey({&first, &second, &again});
  EXPECT_GE(share(again), moved);
}

TEST_F(UpgradeTest, GoesBackByItselfWhenItsWorkersCannotLive) {
  Peer first = worker("work", 0, 'a');
  Peer second = worker("work", 1, 'a');
  obey({&first, &second});
  pass(1'000'000);
  upgrade("work", 'b');
  core_.on_upgrade_failed(kWork, library('c').hash, "of something else", now_);
  EXPECT_EQ(now_with(kWork), "b.so");
  core_.on_upgrade_failed(kWork, library('b').hash, "it died 5 times", now_);
  EXPECT_EQ(now_with(kWork), "a.so");
  EXPECT_THAT(status_of("work")["upgrade"]["why"], "b.so was given up: it died 5 times");
  EXPECT_EQ(status_of("work")["upgrade"]["by"], "itself");
  obey({&first, &second});
  EXPECT_EQ(share(first) + share(second), kShards) << "those that were there go on";
  EXPECT_THAT(refusal("work", 'b', true), HasSubstr("nothing to go back to"));
  // One that says why is given up too, and another one that says so behind it fails nothing.
  upgrade("work", 'b');
  Peer third = worker("work", 0, 'b');
  Peer fourth = worker("work", 1, 'b');
  say(third, MessageType::kFailed, wire::encode_sentence("it had enough"));
  say(fourth, MessageType::kFailed, wire::encode_sentence("it had enough, too"));
  EXPECT_EQ(now_with(kWork), "a.so");
  EXPECT_THAT(status_of("work")["upgrade"]["why"], "b.so was given up: it had enough");
  for (const Notice& notice : out_.notices) EXPECT_NE(notice.kind, Notice::Kind::kStageFailed) << notice.reason;
}

TEST_F(UpgradeTest, FailsNothingThatIsGivenUpWhileTheTopologyStops) {
  worker("work", 0, 'a');
  upgrade("work", 'b');
  core_.drain(now_);
  core_.on_upgrade_failed(kWork, library('b').hash, "it died 5 times", now_);
  EXPECT_EQ(now_with(kWork), "b.so") << "the next run decides";
  for (const Notice& notice : out_.notices) EXPECT_NE(notice.kind, Notice::Kind::kStageFailed) << notice.reason;
}

TEST_F(UpgradeTest, GoesBackAndThereAgainAtAWish) {
  upgrade("work", 'b');
  EXPECT_THAT(refusal("work", 'c', true), HasSubstr("nothing to go back to")) << "c was not before";
  EXPECT_EQ(upgrade("work", 'a', true).text("before_name"), "b.so");
  EXPECT_EQ(now_with(kWork), "a.so");
  EXPECT_EQ(upgrade("work", 'a', true).integer("changed", 9), 0) << "said again it is the same wish";
  EXPECT_EQ(upgrade("work", 'b', true).integer("changed", 9), 1);
  EXPECT_EQ(now_with(kWork), "b.so");
}

TEST_F(UpgradeTest, AdvisesNoWayBackWhoIsOnIt) {
  worker("work", 0, 'a');
  upgrade("work", 'b');
  EXPECT_THAT(refusal("work", 'c'),
              HasSubstr("an upgrade of stage \"work\" to b.so is under way: wait until it is done, or go "
                        "back (weir upgrade work --back)"));
  worker("work", 0, 'b');
  upgrade("work", 'a', true);
  EXPECT_EQ(refusal("work", 'c'), "stage \"work\" is going back to a.so: wait until it is done");
}

TEST_F(UpgradeTest, TellsTwoLibrariesOfOneNameApart) {
  worker("work", 0, 'a');
  wire::MapWriter request("upgrade");
  request.put("stage", "work");
  request.put("hash", library('b').hash);
  request.put("name", library('a').name);
  request.put("origin", library('b').origin);
  request.put("back", std::uint64_t{0});
  request.put("dry_run", std::uint64_t{0});
  core_.on_client("person", std::move(request).finish(), now_);
  settle();
  EXPECT_THAT(refusal("work", 'c'), HasSubstr("to a.so (bbbbbbbb) is under way"));
  core_.on_upgrade_failed(kWork, library('b').hash, "it died 5 times", now_);
  EXPECT_EQ(status_of("work")["upgrade"]["why"], "a.so (bbbbbbbb) was given up: it died 5 times");
}

TEST_F(UpgradeTest, RefusesWhatCannotBe) {
  EXPECT_THAT(refusal("wrok", 'b'), HasSubstr("has no stage \"wrok\""));
  EXPECT_THAT(refusal("work", 'x'), HasSubstr("names a stage library in a way that no library is named"));
  EXPECT_EQ(upgrade("work", 'a').integer("changed", 9), 0) << "it runs with that";
  EXPECT_EQ(upgrade("work", 'b', false, true).integer("changed", 9), 1);
  EXPECT_EQ(now_with(kWork), "") << "it was only asked for";
  worker("work", 0, 'a');
  upgrade("work", 'b');
  EXPECT_THAT(refusal("work", 'c'), HasSubstr("an upgrade of stage \"work\" to b.so is under way"));
  EXPECT_EQ(upgrade("work", 'a').op(), "upgraded") << "back is a way that is open";
  core_.drain(now_);
  EXPECT_THAT(refusal("work", 'b'), HasSubstr("the topology is stopping"));
}

TEST_F(UpgradeTest, RefusesAStageWhoseWorkersNobodyHereStarts) {
  Recorder out;
  Core core(topology_, {}, out);
  core.start(Reign(1), {1, 1}, now_);
  wire::MapWriter request("upgrade");
  request.put("stage", "work");
  core.on_client("person", std::move(request).finish(), now_);
  EXPECT_THAT(wire::MapReader::parse(out.replies.back())->text("error"),
              HasSubstr("no worker of stage \"work\" is started by `weir run`"));
}

TEST_F(UpgradeTest, TakesNoWorkerThatHasAnotherLibraryThanIsWanted) {
  upgrade("work", 'b');
  EXPECT_EQ(worker("work", 0, 'a').incarnation.value(), 0U);
  EXPECT_EQ(wire::MapReader::parse(out_.replies.back())->text("code"), "late");
  // Who does not say is told, and looks itself.
  worker("work", 0, 0);
  EXPECT_EQ(wire::MapReader::parse(out_.replies.back())->text("libraries"), library('b').hash);
}

TEST_F(UpgradeTest, ExchangesTheOnlyWorkerOfATarget) {
  Peer first = worker("write", 0, 'a');
  obey({&first});
  upgrade("write", 'b');
  Peer second = worker("write", 0, 'b');
  EXPECT_EQ(out_.count_to(second.incarnation, MessageType::kGrant), 0U);
  obey({&first, &second});
  EXPECT_EQ(out_.count_to(first.incarnation, MessageType::kStop), 1U);
  EXPECT_EQ(out_.count_to(second.incarnation, MessageType::kGrant), 1U);
}

TEST_F(UpgradeTest, GivesTheSplitsOfASourceToANewWorker) {
  Peer first = worker("read", 0, 'a');
  wire::Commit commit;
  commit.splits_found = {"one", "two"};
  commit.enumeration_ended = true;
  this->commit(first, commit);
  upgrade("read", 'b');
  Peer second = worker("read", 0, 'b');
  obey({&first, &second});
  EXPECT_EQ(out_.count_to(first.incarnation, MessageType::kStop), 1U);
  EXPECT_GE(out_.count_to(second.incarnation, MessageType::kGrant), 1U);
}

TEST_F(UpgradeTest, IsKeptByTheJournalAndByCheckpoints) {
  upgrade("work", 'b');
  Ledger ledger = read_back();
  ASSERT_NE(ledger.library(kWork), nullptr);
  EXPECT_EQ(ledger.library(kWork)->now, library('b'));
  EXPECT_EQ(ledger.library(kWork)->before, library('a'));
  EXPECT_EQ(ledger.library(kWrite), nullptr);
  std::vector<Ledger::Fixup> fixups;
  Bytes checkpoint = ledger.encode_checkpoint(fixups);
  Ledger again(topology_);
  ASSERT_TRUE(again.decode_checkpoint(checkpoint).ok());
  EXPECT_EQ(again.library(kWork)->now, library('b'));
  EXPECT_EQ(again.library(kWork)->in_file, library('a').hash);
}

TEST_F(UpgradeTest, DoesNotComeBackToWhatWasLeftWhereTheTopologyLeadsToIt) {
  // As where a new version is put in the place of the old one, and given up.
  upgrade("work", 'b');
  core_.on_upgrade_failed(kWork, library('b').hash, "it died 5 times", now_);
  core_.on_libraries({{kWork, library('b')}}, now_);
  EXPECT_EQ(now_with(kWork), "a.so");
  core_.on_libraries({{kWork, library('c')}}, now_);
  EXPECT_EQ(now_with(kWork), "") << "and yet to any other";
}

TEST_F(UpgradeTest, HoldsUntilTheTopologyLeadsToAnotherLibrary) {
  upgrade("work", 'b');
  core_.on_libraries({{kWork, library('a')}}, now_);
  EXPECT_EQ(now_with(kWork), "b.so") << "that is what it was when b was chosen";
  core_.on_libraries({{kWork, library('b')}}, now_);
  EXPECT_EQ(now_with(kWork), "b.so");
  core_.on_libraries({{kWork, library('c')}}, now_);
  EXPECT_EQ(now_with(kWork), "");
  Topology next = topology_;
  next.stages[kWork].plugin = "another";
  upgrade("work", 'd');
  Ledger ledger = read_back();
  Bytes payload = encode_header({EntryType::kTopology, {}, 0, 0});
  ByteWriter(payload).raw(as_bytes(encode_resolved_briefly(next)));
  ASSERT_TRUE(ledger.apply(ledger.next_sequence(), Buffer::of(std::move(payload)), {1, 8192, 0, 0}, false).ok());
  EXPECT_EQ(ledger.library(kWork), nullptr) << "nobody has chosen anything for that plugin";
}

TEST_F(UpgradeTest, TakesNoEntryThatCannotBe) {
  const auto refused = [&](std::uint32_t stage, const Bytes& body) {
    Ledger ledger = read_back();
    Bytes payload = encode_header({EntryType::kUpgraded, {}, stage, 0});
    ByteWriter(payload).raw(body);
    const Status status = ledger.apply(ledger.next_sequence(), Buffer::of(std::move(payload)), {1, 8192, 0, 0}, false);
    return status.ok() ? std::string() : status.error().message;
  };
  StageLibrary good{library('b'), library('a'), library('a').hash, StageLibrary::By::kPerson, "", false, ""};
  const auto wanted = [&](auto change) {
    StageLibrary other = good;
    change(other);
    return encode(Upgraded{Upgraded::What::kWanted, other});
  };
  EXPECT_EQ(refused(kWork, wanted([](StageLibrary&) {})), "");
  EXPECT_THAT(refused(9, wanted([](StageLibrary&) {})), HasSubstr("an unknown stage"));
  for (const char* name : {"", "..", ".", "a/b"})
    EXPECT_THAT(refused(kWork, wanted([&](StageLibrary& other) { other.now.name = name; })), HasSubstr("is named"));
  EXPECT_THAT(refused(kWork, wanted([](StageLibrary& other) { other.before.hash = "../x"; })), HasSubstr("is named"));
  EXPECT_THAT(refused(kWork, wanted([](StageLibrary& other) { other.by = static_cast<StageLibrary::By>(9); })),
              HasSubstr("nobody wants it"));
  EXPECT_THAT(refused(kWork, encode(Upgraded{Upgraded::What::kSettled, {}})), HasSubstr("that nobody wanted"));
  EXPECT_THAT(refused(kWork, encode(Upgraded{static_cast<Upgraded::What>(7), {}})), HasSubstr("malformed"));
}

TEST_F(UpgradeTest, GivesATrialEveryShardAndCountsItForNoWorker) {
  Peer first = worker("work", 0, 'a');
  Peer second = worker("work", 1, 'a');
  obey({&first, &second});
  pass(1'000'000);
  Peer trial = worker("work", 0, 0, true);
  ASSERT_NE(trial.incarnation.value(), 0U);
  EXPECT_EQ(status_of("work")["workers"], 2);
  std::set<std::uint32_t> lanes;
  for (int i = 0; i < 3; ++i) {
    obey({&trial});
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to != trial.incarnation || sent.header.type != MessageType::kGrant) continue;
      const auto leases = wire::decode_leases(wire::body_of(sent.message));
      for (const wire::Lease& lease : *leases) {
        EXPECT_EQ(lease.kind, wire::LeaseKind::kAhead);
        lanes.insert(lease.shard);
      }
    }
  }
  EXPECT_EQ(lanes.size(), kShards);
  EXPECT_EQ(out_.count_to(trial.incarnation, MessageType::kGrant), kShards + 1) << "and a grant of nothing";
  EXPECT_EQ(share(first) + share(second), kShards);
  EXPECT_EQ(out_.fenced_why(), "");
}

TEST(LibrariesFit, AsFarAsAnythingIsWanted) {
  EXPECT_TRUE(wire::libraries_fit("a,b", ""));
  EXPECT_TRUE(wire::libraries_fit("a,b", "a,b"));
  EXPECT_TRUE(wire::libraries_fit("a,b", ",b"));
  EXPECT_TRUE(wire::libraries_fit("a,b", "a,"));
  EXPECT_FALSE(wire::libraries_fit("a,b", "a,c"));
  EXPECT_FALSE(wire::libraries_fit("a,b", "b,"));
  EXPECT_FALSE(wire::libraries_fit("", "a"));
  EXPECT_FALSE(wire::libraries_fit("a", ",b"));
}

}  // namespace
}  // namespace weir::core

// SPDX-License-Identifier: Apache-2.0
// Entries and checkpoints that are well formed and cannot be: each is refused with what is wrong in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdk/wire/changes.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kRead = 0;
constexpr std::uint32_t kWork = 1;

/// What becomes of the entry behind one record in the first stream.
Status applied(EntryHeader header, BytesView body) {
  Ledger ledger(small_chain("chain"));
  const auto apply = [&](EntryHeader head, BytesView rest, std::uint64_t sequence) {
    Bytes payload = encode_header(head);
    payload.insert(payload.end(), rest.begin(), rest.end());
    return ledger.apply(Sequence(sequence), Buffer::of(std::move(payload)), {1, 4096, 0, 0}, false);
  };
  const Bytes frame = frame_of_one();
  Bytes first;
  wire::encode({}, {frame}, first);
  EXPECT_TRUE(apply({EntryType::kTransaction, {}, kRead}, first, 0).ok());
  return apply(header, body, 1);
}

std::string refused(EntryHeader header, BytesView body) {
  const Status status = applied(header, body);
  if (status.ok()) return "it was taken";
  EXPECT_EQ(status.error().code, Code::kCorrupt);
  return status.error().message;
}

std::string refused(std::uint32_t stage, const wire::Commit& commit) {
  Bytes body;
  wire::encode(commit, {}, body);
  return refused({EntryType::kTransaction, {}, stage}, body);
}

TEST(Contradiction, NamesAStreamThatAGroupDoesNotReadOrThatDoesNotExist) {
  for (const std::uint32_t stream : {1U, 77U}) {
    wire::Commit commit;
    commit.consumed = {{stream, 0, 0, 1}};
    EXPECT_THAT(refused(kWork, commit), HasSubstr("consumes stream " + std::to_string(stream)));
  }
}

TEST(Contradiction, NamesGroupsOutsideOfAStreamThatNoneReads) {
  using What = GroupMoved::What;
  for (const std::uint32_t stream : {0U, 77U})
    EXPECT_THAT(refused({EntryType::kGroup}, encode(GroupMoved{What::kEntered, stream, "g", {{0, 0}}})),
                HasSubstr("no group outside reads"));
  EXPECT_THAT(refused({EntryType::kGroup}, as_bytes("\x04\x00\x00\x00")), HasSubstr("malformed"));
}

TEST(Contradiction, NamesARangeThatEndsBehindItsShard) {
  wire::Commit commit;
  commit.consumed = {{0, 0, 0, 2}};
  EXPECT_THAT(refused(kWork, commit), HasSubstr("consumes [0, 2) of \"in\" shard 0"));
}

TEST(Contradiction, NamesSplitsOfAStageAndPositionsOfNothing) {
  wire::Commit splits;
  splits.splits_found = {"a"};
  EXPECT_THAT(refused(kWork, splits), HasSubstr("no source"));
  Bytes change;
  wire::append_change(change, {wire::Space::kPosition, {}, {}, as_bytes("here")});
  wire::Commit position;
  position.changes = {{kRead, 0, change}};
  EXPECT_THAT(refused(kRead, position), HasSubstr("position of an unknown shard"));
}

TEST(Contradiction, NamesASnapshotWithoutANumber) {
  EXPECT_THAT(refused({EntryType::kSnapshot, {}, kWork}, encode(SnapshotTaken{0, 1, 10})),
              HasSubstr("snapshot without a number"));
  EXPECT_THAT(refused({EntryType::kSnapshot, {}, kWork}, encode(SnapshotTaken{1, 5, 10})),
              HasSubstr("comes behind it"));
  EXPECT_TRUE(applied({EntryType::kSnapshot, {}, kWork}, encode(SnapshotTaken{1, 1, 10})).ok());
}

TEST(Contradiction, NamesAReplayFromAFrameThatDoesNotExist) {
  Replay back;
  back.from = {{0, 2}};
  EXPECT_THAT(refused({EntryType::kReplay, {}, kWork}, encode(back)), HasSubstr("a frame that does not exist"));
}

TEST(Contradiction, NamesErasesOfLettersThatCannotBeRead) {
  LettersMoved moved;
  const Bytes half(5);
  moved.erased = {{0, half}};
  EXPECT_THAT(refused({EntryType::kLetters, {}, kWork}, encode(moved)), HasSubstr("malformed erases"));
}

/// A ledger with one record, and what is said of its checkpoint once `change` has been at it.
template <typename Change>
std::string checkpoint_refused(Change change) {
  Ledger ledger(small_chain("chain"));
  const Bytes frame = frame_of_one();
  Bytes body;
  wire::encode({}, {frame}, body);
  Bytes payload = encode_header({EntryType::kTransaction, {}, kRead});
  payload.insert(payload.end(), body.begin(), body.end());
  EXPECT_TRUE(ledger.apply(Sequence(0), Buffer::of(std::move(payload)), {1, 4096, 0, 0}, false).ok());
  change(ledger);
  std::vector<Ledger::Fixup> fixups;
  const Status status = Ledger(small_chain("chain")).decode_checkpoint(ledger.encode_checkpoint(fixups));
  return status.ok() ? "" : status.error().message;
}

TEST(Contradiction, NamesWhatInACheckpointLeadsAstray) {
  EXPECT_EQ(checkpoint_refused([](Ledger&) {}), "");
  EXPECT_THAT(checkpoint_refused([](Ledger& ledger) { ledger.units()[kWork].lanes[0].cursors[0].offset = 2; }),
              HasSubstr("group of \"work\": it has consumed what does not exist"));
  EXPECT_THAT(checkpoint_refused([](Ledger& ledger) { ledger.units()[kWork].lanes[0].cursors[0].frame = 2; }),
              HasSubstr("it has consumed what does not exist"));
  EXPECT_THAT(checkpoint_refused([](Ledger& ledger) {
                ledger.units()[kWork].lanes[0].cursors[0].ahead = {{1, 3}};
              }),
              HasSubstr("lead too far"));
  EXPECT_THAT(checkpoint_refused([](Ledger& ledger) { ledger.stream(0).slot(0).sequence = Sequence(9); }),
              HasSubstr("stream \"in\": frames are not in the order"));
  EXPECT_THAT(checkpoint_refused([](Ledger& ledger) { ledger.stream(0).slot(0).place = {}; }),
              HasSubstr("lies nowhere"));
  EXPECT_THAT(checkpoint_refused([](Ledger& ledger) { ledger.stream(0).release_before(1); }),
              HasSubstr("waits for records that are not kept"));
  EXPECT_THAT(checkpoint_refused([](Ledger& ledger) {
                ledger.units()[kRead].add_splits({"a"});
                ledger.units()[kRead].lanes.push_back(ledger.units()[kRead].lanes[0]);
              }),
              HasSubstr("a split is there twice"));
  EXPECT_THAT(checkpoint_refused([](Ledger& ledger) {
                ledger.changelog(kWork).append({Sequence(7), 0, {1, 4096, 0, 9}});
              }),
              HasSubstr("stage \"work\": changes are not in the order"));
  EXPECT_THAT(checkpoint_refused([](Ledger& ledger) {
                ledger.changelog(kWork).append({Sequence(0), 5, {1, 4096, 0, 9}});
              }),
              HasSubstr("a shard that does not exist"));
  EXPECT_THAT(checkpoint_refused([](Ledger& ledger) {
                ledger.changelog(kWork).snapshot({8, 0, 1});
              }),
              HasSubstr("snapshot is of what comes later"));
}

}  // namespace
}  // namespace weir::core

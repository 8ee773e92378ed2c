// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/broker/journal/fixture.h"

namespace weir::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Journal : public JournalFixture {};

TEST_F(Journal, StartsEmptyInANewDirectory) {
  open();
  EXPECT_EQ(recovery_.reign, Reign(1));
  EXPECT_EQ(recovery_.end, Sequence(0));
  EXPECT_THAT(replayed(), IsEmpty());
}

TEST_F(Journal, GivesBackAfterAPowerCutWhatWasSynced) {
  open();
  append("one");
  append_group({"two", "three"});
  sync();
  power_cut();
  open();
  EXPECT_THAT(replayed(), ElementsAre("one", "two", "three"));
  EXPECT_EQ(recovery_.reign, Reign(2));
}

TEST_F(Journal, GivesBackAfterAKillWhatWasWrittenWithoutASync) {
  open();
  append("one");
  append("two");
  kill();
  open();
  EXPECT_THAT(replayed(), ElementsAre("one", "two"));
}

TEST_F(Journal, KeepsPositionsValidAcrossStartsAndRollOvers) {
  open();
  for (int i = 0; i < 40; ++i) append(std::string(5000, static_cast<char>('a' + i % 26)));
  sync();
  EXPECT_GT(journal_->probe().segments_recycled, 2U);
  for (int life = 0; life < 3; ++life) {
    kill();
    open();
    EXPECT_EQ(replayed().size(), 40U);
    for (std::size_t i = 0; i < positions_.size(); ++i) {
      EXPECT_EQ(read(positions_[i]), std::string(5000, static_cast<char>('a' + i % 26)));
    }
  }
}

}  // namespace
}  // namespace weir::test

// SPDX-License-Identifier: Apache-2.0
#include "broker/server/mailbox.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

namespace weir::server {
namespace {

using namespace std::chrono_literals;

/// Until something is in `mailbox`.
void await(const Mailbox& mailbox) {
  pollfd wanted{mailbox.descriptor(), POLLIN, 0};
  ASSERT_EQ(::poll(&wanted, 1, 60'000), 1);
}

TEST(Mailbox, GivesTheAnswerOfTheThreadThatRunsIt) {
  Mailbox mailbox(1);
  std::optional<int> answer;
  std::thread asks([&] { answer = mailbox.ask([] { return 7; }, 60s); });
  await(mailbox);
  mailbox.run();
  asks.join();
  EXPECT_EQ(answer, 7);
}

TEST(Mailbox, GivesNoAnswerWhereItStaysFull) {
  Mailbox mailbox(1);
  ASSERT_TRUE(mailbox.post([] {}));
  EXPECT_EQ(mailbox.ask([] { return 7; }, 10ms), std::nullopt);
}

TEST(Mailbox, KeepsNobodyWaitingOnceItIsClosed) {
  Mailbox mailbox(1);
  std::thread asks([&] { EXPECT_EQ(mailbox.ask([] { return 7; }, 1h), std::nullopt); });
  await(mailbox);
  // The question is in, and these find no room.
  std::thread asks_behind([&] { EXPECT_EQ(mailbox.ask([] { return 7; }, 1h), std::nullopt); });
  std::thread posts([&] { EXPECT_FALSE(mailbox.post([] {})); });
  mailbox.close_for_good();
  asks.join();
  asks_behind.join();
  posts.join();
}

}  // namespace
}  // namespace weir::server

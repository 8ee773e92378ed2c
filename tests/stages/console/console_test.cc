// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/fake_host.h"

namespace weir {
namespace {

using testing_host::FakeHost;
using testing_host::fed;

/// Puts a pipe in the place of the standard output.
class Captured {
 public:
  Captured() : before_(::dup(STDOUT_FILENO)) {
    ::fflush(stdout);
    if (::pipe(ends_) != 0) throw std::runtime_error("test: no pipe");
    ::dup2(ends_[1], STDOUT_FILENO);
    ::close(ends_[1]);
  }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  ~Captured() {
    give_back();
    ::close(ends_[0]);
  }
  void close_reader() {
    ::close(ends_[0]);
    ends_[0] = -1;
  }
  std::string text() {
    give_back();
    std::string text;
    char bytes[4096];
    for (ssize_t got = 0; (got = ::read(ends_[0], bytes, sizeof(bytes))) > 0;)
      text.append(bytes, static_cast<std::size_t>(got));
    return text;
  }

 private:
  void give_back() {
    if (before_ < 0) return;
    ::dup2(before_, STDOUT_FILENO);
    ::close(before_);
    before_ = -1;
  }
  int before_;
  int ends_[2] = {-1, -1};
};

TEST(ConsolePrint, PrintsALineARecordAtTheCommit) {
  FakeHost host(LIBRARY, "console.print");
  ASSERT_EQ(host.open(""), WEIR_OK);
  host.feed({fed("1", R"({"a": [1.5, "x"]})", 7), fed("null", R"({"$binary": "AAE="})", -1)});
  Captured captured;
  host.flush();
  EXPECT_EQ(captured.text(),
            "{\"key\":1,\"value\":{\"a\":[1.5,\"x\"]},\"timestamp\":7}\n"
            "{\"key\":null,\"value\":{\"$binary\":\"AAE=\"},\"timestamp\":-1}\n");
}

TEST(ConsolePrint, EndsTheWorkerWithASentenceWhereNobodyReads) {
  FakeHost host(LIBRARY, "console.print");
  ASSERT_EQ(host.open(""), WEIR_OK);
  host.feed({fed("1", "1")});
  std::string sentence;
  {
    Captured captured;
    captured.close_reader();
    try {
      host.flush();
    } catch (const std::runtime_error& error) {
      sentence = error.what();
    }
  }
  EXPECT_EQ(sentence, "cannot print: Broken pipe");
}

}  // namespace
}  // namespace weir

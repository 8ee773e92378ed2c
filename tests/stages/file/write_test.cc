// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/support/fake_host.h"
#include "tests/support/temporary_folder.h"

namespace weir {
namespace {

using testing::HasSubstr;
using testing_host::FakeHost;
using testing_host::Fed;
using testing_host::fed;
using testing_host::read_file;
using testing_host::TemporaryFolder;
using testing_host::write_file;

std::string config(const std::string& path, const std::string& options = "") {
  return "{\"path\": \"" + path + "\"" + options + "}";
}

std::string line(int number) { return "{\"key\":1,\"value\":" + std::to_string(number) + ",\"timestamp\":5}\n"; }

TEST(FileWrite, WritesJsonLinesAndMakesTheFoldersAbove) {
  const TemporaryFolder folder;
  FakeHost host(LIBRARY, "file.write", config(folder / "deep/er/out.jsonl"));
  ASSERT_EQ(host.open(""), WEIR_OK) << host.sentence;
  Fed bad_utf8;
  encode_text(bad_utf8.value, "a\xff");
  host.feed({fed("\"k\"", R"({"b": 2.0, "a": [null]})", -7), bad_utf8});
  host.flush();
  EXPECT_EQ(read_file(folder / "deep/er/out.jsonl"),
            "{\"key\":\"k\",\"value\":{\"b\":2.0,\"a\":[null]},\"timestamp\":-7}\n"
            "{\"key\":null,\"value\":\"a\xef\xbf\xbd\",\"timestamp\":0}\n");
  EXPECT_EQ(host.counted["utf8"], 1U);
}

TEST(FileWrite, HoldsEachRecordOnceAfterAnyCrash) {
  const TemporaryFolder folder;
  const std::string path = folder / "out.jsonl";
  std::mt19937 random(29);
  write_file(path, "of an earlier run, to be replaced\n");
  std::string position;
  std::string expected;
  int committed = 0;
  auto host = std::make_unique<FakeHost>(LIBRARY, "file.write", config(path));
  ASSERT_EQ(host->open(position), WEIR_OK);
  EXPECT_EQ(read_file(path), "");
  while (committed < 3000) {
    std::vector<Fed> records;
    std::string lines;
    for (int i = 0, size = static_cast<int>(random() % 200); i < size; ++i) {
      records.push_back(fed("1", std::to_string(committed + i), 5));
      lines += line(committed + i);
    }
    host->feed(records);
    const bool flushed = random() % 3 != 0;
    std::string next_position = position;
    if (flushed) next_position = host->flush();
    if (flushed && random() % 3 != 0) {  // the commit succeeds
      position = next_position;
      expected += lines;
      committed += static_cast<int>(records.size());
      ASSERT_EQ(read_file(path), expected);
    } else {  // the worker dies before it: at times more is in the file than was committed
      host.reset();
      host = std::make_unique<FakeHost>(LIBRARY, "file.write", config(path));
      ASSERT_EQ(host->open(position), WEIR_OK) << host->sentence;
      ASSERT_EQ(read_file(path), expected);
    }
  }
}

TEST(FileWrite, RefusesToGoOnWithAFileThatIsShorterOrGone) {
  const TemporaryFolder folder;
  const std::string path = folder / "out.jsonl";
  std::string position;
  {
    FakeHost host(LIBRARY, "file.write", config(path));
    ASSERT_EQ(host.open(""), WEIR_OK);
    host.feed({fed("1", "1", 5), fed("1", "2", 5)});
    position = host.flush();
  }
  write_file(path, line(1));
  FakeHost shorter(LIBRARY, "file.write", config(path));
  EXPECT_EQ(shorter.open(position), WEIR_FATAL);
  EXPECT_EQ(shorter.sentence,
            "cannot go on with " + path +
                ": it has 34 bytes, but 68 were written and committed; put it back, or start over with --fresh");
  EXPECT_EQ(read_file(path), line(1));
  std::filesystem::remove(path);
  FakeHost gone(LIBRARY, "file.write", config(path));
  EXPECT_EQ(gone.open(position), WEIR_FATAL);
  EXPECT_EQ(gone.sentence, "cannot go on with " + path + ": it is gone; put it back, or start over with --fresh");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(FileWrite, LocksItsFileAsLongAsItOwnsIt) {
  const TemporaryFolder folder;
  const std::string path = folder / "out.jsonl";
  FakeHost first(LIBRARY, "file.write", config(path));
  ASSERT_EQ(first.open(""), WEIR_OK);
  first.feed({fed("1", "1", 5)});
  const std::string position = first.flush();
  FakeHost second(LIBRARY, "file.write", config(path));
  EXPECT_EQ(second.open(""), WEIR_EMPTY);
  EXPECT_EQ(second.sentence, path + " is being written by another process");
  EXPECT_EQ(read_file(path), line(1));
  first.close();
  EXPECT_EQ(second.open(position), WEIR_OK);
}

TEST(FileWrite, WritesAFileForEachShardWhereThePathSaysSo) {
  const TemporaryFolder folder;
  FakeHost host(LIBRARY, "file.write", config(folder / "{shard}/out-{shard}.jsonl"));
  for (const std::uint32_t shard : {0U, 3U}) {
    host.context().shard = shard;
    ASSERT_EQ(host.open(""), WEIR_OK) << host.sentence;
  }
  host.feed({fed("1", "3", 5)});
  host.context().shard = 0;
  host.feed({fed("1", "0", 5)});
  for (const std::uint32_t shard : {0U, 3U}) {
    host.context().shard = shard;
    EXPECT_EQ(testing_host::json(host.flush()), "34");
  }
  EXPECT_EQ(read_file(folder / "0/out-0.jsonl"), line(0));
  EXPECT_EQ(read_file(folder / "3/out-3.jsonl"), line(3));
}

TEST(FileWrite, WritesCsvByTheExtension) {
  const TemporaryFolder folder;
  FakeHost host(LIBRARY, "file.write", config(folder / "out.csv"));
  ASSERT_EQ(host.open(""), WEIR_OK);
  host.feed({fed("\"a,b\"", R"("say \"x\"\n")", 1), fed("null", R"({"a": "y"})", 2), fed("1.0", "true", 3)});
  const std::string position = host.flush();
  const std::string expected =
      "key,value,timestamp\r\n"
      "\"a,b\",\"say \"\"x\"\"\n\",1\r\n"
      ",\"{\"\"a\"\":\"\"y\"\"}\",2\r\n"
      "1.0,true,3\r\n";
  EXPECT_EQ(read_file(folder / "out.csv"), expected);
  host.close();
  FakeHost next(LIBRARY, "file.write", config(folder / "out.csv"));
  ASSERT_EQ(next.open(position), WEIR_OK);
  next.feed({fed("1", "2", 3)});
  next.flush();
  EXPECT_EQ(read_file(folder / "out.csv"), expected + "1,2,3\r\n");
}

TEST(FileWrite, WritesTheColumnsThatAreAskedFor) {
  const TemporaryFolder folder;
  FakeHost host(
      LIBRARY, "file.write",
      config(folder / "out.txt", R"(, "format": "csv", "columns": {"who": "/value/user/name", "the key": "/key/0",
                                              "at": "/timestamp", "all": "/value"})"));
  ASSERT_EQ(host.open(""), WEIR_OK) << host.sentence;
  host.feed({fed("[7]", R"({"user": {"name": "Ann"}})", 1), fed("7", "0.5", 2)});
  host.flush();
  EXPECT_EQ(read_file(folder / "out.txt"),
            "who,the key,at,all\r\nAnn,7,1,\"{\"\"user\"\":{\"\"name\"\":\"\"Ann\"\"}}\"\r\n,,2,0.5\r\n");
  const FakeHost nowhere(LIBRARY, "file.write", config("out.csv", R"(, "columns": {"x": "/user"})"));
  EXPECT_THAT(nowhere.sentence, HasSubstr("\"/user\" leads nowhere"));
  const FakeHost no_csv(LIBRARY, "file.write", config("out.jsonl", R"(, "columns": {"x": "/key"})"));
  EXPECT_THAT(no_csv.sentence, HasSubstr("is for CSV"));
}

TEST(FileWrite, SaysWhatStandsInItsWay) {
  const TemporaryFolder folder;
  write_file(folder / "file", "");
  FakeHost below(LIBRARY, "file.write", config(folder / "file/out"));
  EXPECT_EQ(below.open(""), WEIR_FATAL);
  EXPECT_THAT(below.sentence, HasSubstr("cannot make the folder of " + folder / "file/out"));
  std::filesystem::create_directory(folder / "folder");
  FakeHost same(LIBRARY, "file.write", config(folder / "folder"));
  EXPECT_EQ(same.open(""), WEIR_FATAL);
  EXPECT_EQ(same.sentence, "cannot write " + folder / "folder" + ": Is a directory");
}

TEST(FileWrite, KeepsTheFileAsItWasWhereARecordIsMalformed) {
  const TemporaryFolder folder;
  FakeHost host(LIBRARY, "file.write", config(folder / "out"));
  ASSERT_EQ(host.open(""), WEIR_OK);
  Fed malformed;
  malformed.value = "\xc1";
  host.feed({fed("1", "1", 5), malformed, fed("1", "2", 5)});
  host.flush();
  EXPECT_EQ(read_file(folder / "out"), line(1) + line(2));
  EXPECT_EQ(host.errors.size(), 1U);
}

}  // namespace
}  // namespace weir

// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>

#include <chrono>
#include <random>

#include "tests/support/fake_host.h"
#include "tests/support/temporary_folder.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_host::append_file;
using testing_host::FakeHost;
using testing_host::TemporaryFolder;
using testing_host::write_file;

std::string gzip(const std::string& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  return testing_host::read_file(path);
}

/// A file.lines over one file that a test reads step by step, across lives of the worker.
class Reading {
 public:
  explicit Reading(std::string path, std::string options = "") : path_(std::move(path)), options_(std::move(options)) {
    split_.id = path_;
    restart();
  }

  /// A new worker goes on at the last position.
  void restart() {
    host_ = std::make_unique<FakeHost>(LIBRARY, "file.lines", "{\"path\": \"" + path_ + "\"" + options_ + "}");
    if (!host_->created()) throw std::runtime_error(host_->sentence);
  }
  /// A read whose transaction is lost: the position stays as it was.
  void read_in_vain() {
    weir_split lost = split_;
    host_->read(lost);
    host_->outputs.clear();
  }
  /// The lines up to the end that the file has now.
  std::vector<std::string> lines() {
    host_->outputs.clear();
    last_answer = host_->read_all(split_);
    return taken();
  }
  /// The lines up to `last`, as soon as it is there.
  std::vector<std::string> until(const std::string& last) {
    std::vector<std::string> all;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while ((all.empty() || all.back() != last) && std::chrono::steady_clock::now() < end) {
      const std::vector<std::string> more = lines();
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }
  std::vector<std::string> one_transaction(std::size_t lines_max) {
    host_->outputs.clear();
    host_->transaction_outputs = lines_max;
    last_answer = host_->read(split_);
    host_->transaction_outputs = SIZE_MAX;
    return taken();
  }

  FakeHost& host() { return *host_; }
  int last_answer = 0;

 private:
  std::vector<std::string> taken() const {
    std::vector<std::string> lines;
    for (const auto& output : host_->outputs)
      lines.push_back(ValueView(testing_host::view(output.value)).as<std::string>());
    return lines;
  }

  std::string path_;
  std::string options_;
  weir_split split_;
  std::unique_ptr<FakeHost> host_;
};

TEST(FileLines, GivesEachLineWithoutItsEnd) {
  const TemporaryFolder folder;
  write_file(folder / "a", std::string("one\r\n\n two\r \nthree\0\xff\nlast\r", 26));
  Reading reading(folder / "a");
  EXPECT_THAT(reading.lines(), ElementsAre("one", "", " two\r ", std::string("three\0\xff", 7), "last\r"));
  EXPECT_EQ(reading.last_answer, WEIR_END);
  const auto now =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  for (const auto& output : reading.host().outputs) {
    EXPECT_EQ(output.key, "\xc0");
    EXPECT_LE(output.timestamp, now);
    EXPECT_GT(output.timestamp, now - 60'000'000);
  }
}

TEST(FileLines, ReadsEveryLineOnceWhateverIsLostOnTheWay) {
  const TemporaryFolder folder;
  std::mt19937 random(23);
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 20'000; ++i) {
    expected.emplace_back(random() % 60, static_cast<char>('a' + i % 26));
    text += expected.back() + "\n";
  }
  write_file(folder / "plain", text);
  gzip(folder / "half", text.substr(0, text.size() / 2));
  gzip(folder / "rest", text.substr(text.size() / 2));
  write_file(folder / "gzip", testing_host::read_file(folder / "half") + testing_host::read_file(folder / "rest") +
                                  std::string(512, '\0'));  // members and padding, as RFC 1952 and gzip(1) have it
  for (const char* name : {"plain", "gzip"}) {
    Reading reading(folder / name);
    std::vector<std::string> lines;
    do {
      if (random() % 10 == 0) reading.restart();
      if (random() % 10 == 0) reading.read_in_vain();
      for (std::string& line : reading.one_transaction(1 + random() % 1000)) lines.push_back(std::move(line));
    } while (reading.last_answer != WEIR_END);
    EXPECT_EQ(lines, expected) << name;
  }
}

TEST(FileLines, DropsAndCountsLinesThatAreTooLong) {
  const TemporaryFolder folder;
  const std::string fits(1000, 'f');
  const std::string longer(1001, 'l');
  const std::string huge(3'000'000, 'h');
  write_file(folder / "a", fits + "\n" + longer + "\n" + huge + "\r\n" + fits + "\r\n" + huge + "\nend\n" + longer);
  Reading reading(folder / "a", R"(, "line_bytes_max": "1000B")");
  std::vector<std::string> lines;
  do {  // a new worker for each portion: it may stand within a line
    for (std::string& line : reading.one_transaction(1)) lines.push_back(std::move(line));
    EXPECT_LE(reading.host().counted["line_too_long"], 4U);
    if (reading.last_answer != WEIR_END) reading.restart();
  } while (reading.last_answer != WEIR_END);
  EXPECT_THAT(lines, ElementsAre(fits, fits, "end"));

  Reading whole(folder / "a", R"(, "line_bytes_max": "1000B")");
  EXPECT_THAT(whole.lines(), ElementsAre(fits, fits, "end"));
  EXPECT_EQ(whole.host().counted["line_too_long"], 4U);
  ASSERT_EQ(whole.host().lines.size(), 1U);
  EXPECT_THAT(whole.host().lines[0], HasSubstr("is longer than line_bytes_max"));
}

TEST(FileLines, NamesItsFilesInOrderAndTwiceWhereTheyHaveTwoNames) {
  const TemporaryFolder folder;
  for (const char* name : {"b.log", "a.log", "c.txt", "x[1].txt"}) write_file(folder / name, name);
  std::filesystem::create_symlink("a.log", folder / "link.log");
  const auto splits = [&](const std::string& path) {
    FakeHost host(LIBRARY, "file.lines", "{\"path\": " + path + "}");
    return host.splits();
  };
  EXPECT_THAT(splits("\"" + folder / "*.log" + "\""),
              ElementsAre(folder / "a.log", folder / "b.log", folder / "link.log"));
  EXPECT_THAT(splits("[\"" + folder / "c.txt" + "\", \"" + folder / "[ab].log" + "\", \"" + folder / "a*" + "\"]"),
              ElementsAre(folder / "a.log", folder / "b.log", folder / "c.txt"));
  EXPECT_THAT(splits("\"" + folder / "x[1].txt" + "\""), ElementsAre(folder / "x[1].txt"));
}

TEST(FileLines, EndsWithASentenceWhereThereIsNothingToRead) {
  const TemporaryFolder folder;
  write_file(folder / "there", "");
  std::filesystem::create_symlink("gone", folder / "dangling");
  std::filesystem::create_directory(folder / "folder");
  const auto sentence = [&](const std::string& name) {
    FakeHost host(LIBRARY, "file.lines", "{\"path\": [\"" + folder / "there" + "\", \"" + folder / name + "\"]}");
    try {
      host.splits();
    } catch (const std::runtime_error&) {
    }
    return host.sentence;
  };
  EXPECT_EQ(sentence("*.absent"), "no file matches " + folder / "*.absent");
  EXPECT_EQ(sentence("dangling"), "cannot read " + folder / "dangling" + ": No such file or directory");
  EXPECT_THAT(sentence("folder"), HasSubstr("it is a directory; name the files in it"));
  EXPECT_EQ(sentence("there"), "");
}

TEST(FileLines, EndsWhereGzipDataIsDamagedOrCutShort) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i * 7919) + "\n";
  const std::string bytes = gzip(folder / "a", text);
  write_file(folder / "cut", bytes.substr(0, bytes.size() / 2));
  std::string damaged = bytes;
  for (std::size_t i = 0; i < 50; ++i) damaged[bytes.size() / 2 + i] = '\x55';
  write_file(folder / "damaged", damaged);
  EXPECT_THROW(Reading(folder / "cut").lines(), std::runtime_error);
  EXPECT_THROW(Reading(folder / "damaged").lines(), std::runtime_error);
  Reading cut(folder / "cut");
  try {
    cut.lines();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(error.what(), "cannot read " + folder / "cut" + ": the gzip data ends in the middle");
  }
}

TEST(FileLines, RefusesToGoOnWithAFileThatHasShrunk) {
  const TemporaryFolder folder;
  write_file(folder / "a", "one\ntwo\nthree\n");
  Reading reading(folder / "a");
  EXPECT_THAT(reading.one_transaction(2), ElementsAre("one", "two"));
  write_file(folder / "a", "one\n");
  reading.restart();
  EXPECT_THROW(reading.lines(), std::runtime_error);
  EXPECT_THAT(reading.host().sentence, HasSubstr("it is shorter than what was read of it"));
}

TEST(FileLines, FollowsAFileThatGrows) {
  const TemporaryFolder folder;
  write_file(folder / "log", "one\ntw");
  Reading reading(folder / "log", R"(, "follow": true)");
  EXPECT_THAT(reading.lines(), ElementsAre("one"));
  EXPECT_EQ(reading.last_answer, WEIR_EMPTY);
  append_file(folder / "log", "o\n");
  EXPECT_THAT(reading.lines(), ElementsAre("two"));
  EXPECT_THAT(reading.lines(), ElementsAre());
  append_file(folder / "log", "three\n");
  reading.restart();
  EXPECT_THAT(reading.lines(), ElementsAre("three"));
}

TEST(FileLines, FollowsOverRotationAlsoWhileNobodyReads) {
  const TemporaryFolder folder;
  for (const bool restarts : {false, true}) {
    write_file(folder / "log", "one\n");
    Reading reading(folder / "log", R"(, "follow": true)");
    EXPECT_THAT(reading.lines(), ElementsAre("one"));
    append_file(folder / "log", "two\nend of the old");
    std::filesystem::rename(folder / "log", folder / "log.1");
    EXPECT_THAT(reading.lines(), ElementsAre("two"));  // there is no new one yet
    append_file(folder / "log.1", " file\nlate");
    write_file(folder / "log", "three\n");
    if (restarts) reading.restart();
    EXPECT_THAT(reading.lines(), ElementsAre("end of the old file"));
    append_file(folder / "log.1", "r, by who had not heard of it\n");
    EXPECT_THAT(reading.lines(), ElementsAre("later, by who had not heard of it"));
    append_file(folder / "log.1", "last");
    EXPECT_THAT(reading.until("three"), ElementsAre("last", "three"));
    append_file(folder / "log", "four\n");
    if (restarts) reading.restart();
    EXPECT_THAT(reading.lines(), ElementsAre("four"));
    EXPECT_TRUE(reading.host().lines.empty());
    std::filesystem::remove(folder / "log.1");
    std::filesystem::remove(folder / "log");
  }
}

TEST(FileLines, SaysThatTheFileItFollowedIsGone) {
  const TemporaryFolder folder;
  write_file(folder / "log", "one\n");
  Reading reading(folder / "log", R"(, "follow": true)");
  reading.lines();
  write_file(folder / "new", "two\n");
  std::filesystem::rename(folder / "new", folder / "log");
  reading.restart();
  EXPECT_THAT(reading.lines(), ElementsAre("two"));
  ASSERT_EQ(reading.host().lines.size(), 1U);
  EXPECT_THAT(reading.host().lines[0], HasSubstr("is not the file that was read before"));
}

TEST(FileLines, FollowsOverTruncation) {
  const TemporaryFolder folder;
  write_file(folder / "log", "one\ntwo\n");
  Reading reading(folder / "log", R"(, "follow": true)");
  EXPECT_THAT(reading.lines(), ElementsAre("one", "two"));
  std::filesystem::resize_file(folder / "log", 0);
  append_file(folder / "log", "x\n");
  EXPECT_THAT(reading.lines(), ElementsAre("x"));
  append_file(folder / "log", "y\nz\n");
  EXPECT_THAT(reading.lines(), ElementsAre("y", "z"));
  std::filesystem::resize_file(folder / "log", 0);
  reading.restart();
  EXPECT_THAT(reading.lines(), ElementsAre());
  append_file(folder / "log", "again\n");
  EXPECT_THAT(reading.lines(), ElementsAre("again"));
}

TEST(FileLines, MovesNoPositionForTimeAloneButOnceASecond) {
  const TemporaryFolder folder;
  write_file(folder / "log", "one\n");
  Reading reading(folder / "log", R"(, "follow": true)");
  EXPECT_THAT(reading.lines(), ElementsAre("one"));
  const std::size_t said = reading.host().watermarks.size();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) EXPECT_THAT(reading.lines(), ElementsAre());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start);
  EXPECT_LE(reading.host().watermarks.size() - said, 1U + static_cast<std::uint64_t>(seconds.count()));
  append_file(folder / "log", "two\n");
  EXPECT_THAT(reading.lines(), ElementsAre("two"));
  EXPECT_GT(reading.host().watermarks.size(), said);
}

TEST(FileLines, LetsNoTimeGoBack) {
  const TemporaryFolder folder;
  write_file(folder / "log", "one\n");
  Reading reading(folder / "log", R"(, "follow": true)");
  std::int64_t promised = INT64_MIN;
  for (int i = 0; i < 50; ++i) {
    append_file(folder / "log", "line\n");
    if (i % 5 == 0) reading.restart();
    reading.lines();
    for (const auto& output : reading.host().outputs) EXPECT_GT(output.timestamp, promised);
    promised = std::max(promised, reading.host().watermarks.back());
  }
}

}  // namespace
}  // namespace weir

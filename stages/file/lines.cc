// SPDX-License-Identifier: Apache-2.0
#include "stages/file/lines.h"

#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <set>

#include "stages/file/system_error.h"

namespace weir::file {
namespace {

constexpr std::uint64_t kReadBytes = 256 << 10;  ///< of lines in one read
constexpr std::size_t kOpenMax = 4;
/// Whoever writes a file that was renamed goes on with it until he hears of it: it is left when it has been quiet for
/// so long, or for so long where nothing is in the new one yet.
constexpr Timestamp kQuiet = 1'000'000;
constexpr Timestamp kQuietAlone = 5'000'000;
constexpr Timestamp kIdleMove = 1'000'000;  ///< time alone moves a position so often

/// What is committed of a file.
struct Position {
  std::uint64_t offset = 0;
  std::uint64_t inode = 0;  ///< 0: not begun
  bool skipping = false;
  Timestamp latest = 0;
  MSGPACK_DEFINE(offset, inode, skipping, latest)
};

Timestamp now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(since).count();
}

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  const int answer = ::glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (answer == GLOB_NOSPACE) throw std::bad_alloc();
  // A name with a bracket in it is a pattern that does not match itself.
  if (paths.empty() && ::access(pattern.c_str(), F_OK) == 0) paths.push_back(pattern);
  if (paths.empty()) throw Fatal("no file matches " + pattern);
  return paths;
}

std::optional<std::uint64_t> inode_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_ino;
}

/// Nothing more is to be expected in a file whose name is another's now.
bool is_left(const InputFile& old, const std::string& path) {
  struct stat renewed {};
  if (::stat(path.c_str(), &renewed) != 0) return false;
  const Timestamp quiet = now() - old.changed_at();
  // A clock that was set back tells nothing.
  return quiet < 0 || quiet >= (renewed.st_size > 0 ? kQuiet : kQuietAlone);
}

/// The file of that inode in the folder of `path`: what it was renamed to.
std::optional<std::string> find_inode(const std::string& path, std::uint64_t inode) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  for (const auto& entry : std::filesystem::directory_iterator(folder.empty() ? "." : folder, error)) {
    if (inode_of(entry.path()) == inode) return entry.path();
  }
  return std::nullopt;
}

}  // namespace

Lines::Lines(const Config& config)
    : follow_(config.get<bool>("/follow", false)),
      line_bytes_max_(static_cast<std::size_t>(config.get_size("/line_bytes_max", "1MiB"))) {
  if (line_bytes_max_ == 0) throw ConfigError("/line_bytes_max: must be above zero");
  if (config.get<ValueView>("/path").token().kind == Token::Kind::kText) {
    globs_.push_back(config.get<std::string>("/path"));
  } else {
    globs_ = config.get<std::vector<std::string>>("/path");
  }
}

void Lines::splits(SplitList& list) {
  std::set<std::string> paths;
  for (const std::string& pattern : globs_) {
    for (std::string& path : matches(pattern)) paths.insert(std::move(path));
  }
  // Said before the first line is read, not hours later.
  for (const std::string& path : paths) InputFile{path};
  for (const std::string& path : paths) list.add(path);
}

Progress Lines::read(Split& split, Context& out) {
  Open& file = open(split, out);
  const Timestamp at = std::max(now(), file.latest);
  file.latest = at;
  const LinePosition start = file.cursor.position();
  Progress progress = Progress::kMore;
  std::string_view line;
  while (!out.full() && file.cursor.position().offset - start.offset < kReadBytes) {
    const auto found = file.cursor.next(line);
    if (found == LineCursor::Found::kNothing) {
      progress = at_end(file, out);
      break;
    }
    emit(file, found, line, out);
  }
  const LinePosition position = file.cursor.position();
  // Each move is a transaction.
  if (progress == Progress::kEmpty && position == start && at - file.moved < kIdleMove) return progress;
  file.moved = at;
  split.set_position(Position{position.offset, file.cursor.file().inode(), position.skipping, at});
  out.watermark(at - 1);  // the next read may still be in this microsecond
  if (progress == Progress::kEnd) open_.pop_front();
  return progress;
}

void Lines::emit(Open& file, LineCursor::Found found, std::string_view line, Context& out) {
  if (found == LineCursor::Found::kLine) {
    out.emit(line, {.timestamp = file.latest});
  } else if (found == LineCursor::Found::kTooLong) {
    out.count("line_too_long");
    if (file.said_too_long) return;
    file.said_too_long = true;
    out.log(LogLevel::kWarning, file.path + ": a line before byte " + std::to_string(file.cursor.position().offset) +
                                    " is longer than line_bytes_max and was dropped; further ones are only counted");
  }
}

Progress Lines::at_end(Open& file, Context& out) {
  std::string_view line;
  if (!follow_ || file.cursor.file().is_gzip()) {
    emit(file, file.cursor.rest(line), line, out);
    return Progress::kEnd;
  }
  const auto inode = inode_of(file.path);
  if (inode && *inode != file.cursor.file().inode()) {
    // What was appended between the last read and the rename comes first.
    if (const auto found = file.cursor.next(line); found != LineCursor::Found::kNothing) {
      emit(file, found, line, out);
      return Progress::kMore;
    }
    if (!is_left(file.cursor.file(), file.path)) return Progress::kEmpty;
    // What was written before it was found quiet.
    if (const auto found = file.cursor.next(line); found != LineCursor::Found::kNothing) {
      emit(file, found, line, out);
      return Progress::kMore;
    }
    emit(file, file.cursor.rest(line), line, out);
    file.cursor = LineCursor(InputFile(file.path), {}, line_bytes_max_);
    return Progress::kMore;
  }
  if (file.cursor.file().size() < file.cursor.file().offset()) {
    out.log(LogLevel::kInfo, file.path + " was truncated; reading it from its start");
    file.cursor = LineCursor(InputFile(file.path), {}, line_bytes_max_);
    return Progress::kMore;
  }
  return Progress::kEmpty;
}

Lines::Open& Lines::open(const Split& split, Context& out) {
  const auto committed = split.position<Position>();
  const LinePosition position{committed.offset, committed.skipping};
  const auto known =
      std::find_if(open_.begin(), open_.end(), [&](const Open& file) { return file.path == split.id(); });
  if (known != open_.end()) {
    const bool in_step = known->cursor.position() == position &&
                         (committed.inode == 0 || known->cursor.file().inode() == committed.inode);
    if (in_step) {
      open_.splice(open_.begin(), open_, known);
      return open_.front();
    }
    open_.erase(known);  // a transaction was lost: back to what is committed
  }
  std::string path(split.id());
  LineCursor cursor = resume(path, committed.inode, position, out);
  open_.push_front({std::move(path), std::move(cursor), committed.latest});
  if (open_.size() > kOpenMax) open_.pop_back();
  return open_.front();
}

LineCursor Lines::resume(const std::string& path, std::uint64_t inode, LinePosition position, Context& out) const {
  if (follow_ && inode != 0 && inode_of(path) != inode) {
    if (const auto renamed = find_inode(path, inode)) return {InputFile(*renamed), position, line_bytes_max_};
    out.log(LogLevel::kWarning, path +
                                    " is not the file that was read before, and that one is no longer beside it; "
                                    "reading the new one from its start");
    return {InputFile(path), {}, line_bytes_max_};
  }
  InputFile file(path);
  if (!file.is_gzip() && file.size() < position.offset) {
    if (!follow_) throw Fatal("cannot go on with " + path + ": it is shorter than what was read of it");
    out.log(LogLevel::kInfo, path + " was truncated; reading it from its start");
    position = {};
  }
  return {std::move(file), position, line_bytes_max_};
}

}  // namespace weir::file

// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/opening.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <span>
#include <tuple>
#include <utility>

#include "broker/journal/growth.h"

namespace weir::journal {
namespace {

constexpr std::uint64_t kSegmentBytesMin = 8ULL * kBlockBytes;
constexpr std::uint64_t kSegmentBytesMax = (1ULL << 32) - kBlockBytes;
constexpr std::size_t kCopyBytes = 1 << 18;
constexpr std::byte kZeros[kBlockBytes] = {};

Status write_one(File& file, std::uint64_t offset, BytesView bytes) { return file.write(offset, std::span(&bytes, 1)); }

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(Disk& disk, const JournalOptions& options, Recovery& out) {
  return Opening(disk).open(options, out);
}

Result<std::unique_ptr<Journal>> Journal::open_read_only(Disk& disk, Recovery& out) {
  return Opening(disk).open_read_only(out);
}

Status Opening::read() {
  auto files = open_segment_files(disk_, bytes_read_);
  if (!files.ok()) return files.error();
  files_ = std::move(*files);
  if (Status done = read_history(disk_, files_, history_); !done.ok()) return done;
  history_.bytes_read += bytes_read_;
  return {};
}

void Opening::pass_over_broken_checkpoint() {
  if (history_.checkpoint_used == history_.checkpoint_newest) return;
  history_.checkpoint_newest = history_.checkpoint_before = history_.checkpoint_used;
}

void Opening::report(Recovery& out) const {
  out.end = history_.end;
  out.checkpoint = history_.checkpoint_used;
  out.checkpoint_bytes = history_.checkpoint_bytes;
  out.cut_bytes = history_.cut_bytes;
  out.stale_behind = history_.stale_behind;
  out.cut_report = history_.report;
  out.bytes_read = history_.bytes_read;
}

Status Opening::prove_reign() {
  // The opening marks may exist in the cache only. Before any file is taken on their word they are written again: one,
  // synced, then the other, so that a torn write never meets both.
  const SegmentFile& newest = files_[*history_.newest];
  const std::uint32_t at = newest.header.copy_end;
  const Bytes marks = encode_opening_marks(history_.seed, newest.header.reign, newest.header.sequence_end_last, at);
  for (const std::uint32_t mark : {kBlockBytes, 0U}) {
    if (Status wrote = write_one(*newest.file, at + mark, BytesView(marks).subspan(mark, kBlockBytes)); !wrote.ok()) {
      return wrote;
    }
    if (Status synced = newest.file->sync(); !synced.ok()) return synced;
  }
  return {};
}

Result<std::size_t> Opening::choose_fresh(const JournalOptions& options, std::uint64_t file_bytes) {
  using Rank = std::tuple<bool, bool, bool>;
  std::optional<std::pair<Rank, std::size_t>> best;
  std::uint64_t file_number_max = 0;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const SegmentFile& file = files_[i];
    file_number_max = std::max(file_number_max, segment_file_number(file.name).value_or(0));
    if (std::find(history_.chain.begin(), history_.chain.end(), i) != history_.chain.end()) continue;
    if (history_.predecessor == i || file.file == nullptr) continue;
    // Unreadable files last: a header may be rotten that a person can still mend. Then what needs not grow; then a
    // superseded version of the newest segment, so that there are never many for the next start to look through.
    const bool superseded = file.state == HeaderState::kValid && history_.newest &&
                            file.header.number == files_[*history_.newest].header.number;
    const Rank rank{file.state == HeaderState::kUnreadable, file.file->size() < options.segment_bytes, !superseded};
    if (!best || rank < best->first) best = {rank, i};
  }
  if (best) {
    if (Status grown = grow(*files_[best->second].file, file_bytes); !grown.ok()) return grown.error();
    return best->second;
  }
  // Under its own name only when it is as long as it must be: one that is shorter was cut.
  constexpr std::string_view kPartial = "start.partial";
  SegmentFile made;
  made.name = segment_file_name(file_number_max + 1);
  auto file = disk_.create(kPartial, file_bytes);
  if (!file.ok()) return file.error();
  if (Status named = disk_.rename(kPartial, made.name); !named.ok()) return named.error();
  made.file = std::move(*file);
  files_.push_back(std::move(made));
  return files_.size() - 1;
}

Status Opening::copy_newest(File& to, const SegmentHeader& header) {
  if (Status wrote = write_one(to, 0, encode(header)); !wrote.ok()) return wrote;
  if (!history_.newest) return {};
  File& from = *files_[*history_.newest].file;
  Bytes buffer(kCopyBytes);
  for (std::uint32_t at = kBlockBytes; at < header.copy_end;) {
    const std::size_t size = std::min<std::size_t>(buffer.size(), header.copy_end - at);
    const auto got = from.read(at, std::span(buffer).first(size));
    if (!got.ok()) return got.error();
    // Behind the last entry there may be the rest of a torn group: it ends here.
    std::size_t whole = std::min<std::size_t>(*got, history_.content_end - at);
    std::fill(buffer.begin() + static_cast<std::ptrdiff_t>(whole), buffer.end(), std::byte{0});
    if (Status wrote = write_one(to, at, BytesView(buffer).first(size)); !wrote.ok()) return wrote;
    at += static_cast<std::uint32_t>(size);
  }
  return {};
}

Status Opening::put_in_force(File& file, const SegmentHeader& header) {
  if (Status synced = file.sync(); !synced.ok()) return synced;
  if (Status synced = disk_.sync_directory(); !synced.ok()) return synced;
  const Bytes marks = encode_opening_marks(header.seed, header.reign, header.sequence_end_last, header.copy_end);
  const BytesView parts[] = {marks, BytesView(kZeros)};
  const bool room_for_zeros = header.copy_end + kOpeningBytes + kBlockBytes <= header.segment_bytes;
  if (Status wrote = file.write(header.copy_end, std::span(parts).first(room_for_zeros ? 2 : 1)); !wrote.ok()) {
    return wrote;
  }
  return file.sync();
}

Status Opening::remove_leftovers() {
  const auto names = disk_.list();
  if (!names.ok()) return names.error();
  for (const std::string& name : *names) {
    bool left = name.ends_with(".partial");
    if (is_checkpoint_file(name)) {
      left = true;
      for (const auto& ref : {history_.checkpoint_newest, history_.checkpoint_before, history_.checkpoint_used}) {
        if (ref && checkpoint_file_name(*ref) == name) left = false;
      }
    }
    if (!left) continue;
    if (Status removed = disk_.remove(name); !removed.ok()) return removed;
  }
  return {};
}

Status Opening::remove_stubs() {
  for (SegmentFile& file : files_) {
    if (file.state == HeaderState::kValid || file.file->size() >= kBlockBytes) continue;
    if (Status removed = disk_.remove(file.name); !removed.ok()) return removed;
    file.file.reset();
  }
  return {};
}

std::unique_ptr<Journal> Opening::make(const JournalOptions& options) {
  std::uint64_t file_number_max = 0;
  for (const SegmentFile& file : files_) {
    file_number_max = std::max(file_number_max, segment_file_number(file.name).value_or(0));
  }
  std::unique_ptr<Journal> journal(new Journal(disk_, options, file_number_max + 1));
  journal->seed_ = history_.seed;
  journal->replay_from_ = history_.checkpoint_used ? history_.checkpoint_used->through : Sequence(0);
  journal->written_.store(history_.end.value());
  journal->checkpoint_newest_ = history_.checkpoint_newest;
  journal->checkpoint_before_ = history_.checkpoint_before;
  if (history_.checkpoint_newest) journal->checkpoint_through_last_ = history_.checkpoint_newest->through;
  return journal;
}

Result<Opening::Place> Opening::begin_reign(const JournalOptions& options) {
  SegmentHeader header;
  if (history_.newest) {
    header = files_[*history_.newest].header;
    if (history_.opening_unproven) {
      if (Status proven = prove_reign(); !proven.ok()) return proven.error();
    }
    header.copy_end = block_up(history_.content_end);
  } else {
    header.number = 1;
    header.segment_bytes = options.segment_bytes;
  }
  header.seed = history_.seed;
  header.reign = history_.reign_next;
  header.opening = true;
  header.sequence_end_last = history_.end;
  header.mark = history_.mark;
  header.checkpoint_newest = history_.checkpoint_newest;
  header.checkpoint_before = history_.checkpoint_before;

  header.sized = true;

  if (Status removed = remove_stubs(); !removed.ok()) return removed.error();
  const auto fresh = choose_fresh(options, grown_bytes(header.copy_end + kOpeningBytes, header.segment_bytes));
  Status done = fresh.status();
  if (done.ok()) done = copy_newest(*files_[*fresh].file, header);
  if (done.ok()) done = put_in_force(*files_[*fresh].file, header);
  if (!done.ok()) {
    if (done.error().code != Code::kDiskFull) return done.error();
    return {Code::kDiskFull, fmt::format("{}: a start needs room for one more copy of the newest segment (up to {} "
                                         "bytes) and finds none: {}; free some space and start again",
                                         disk_.name(), options.segment_bytes, done.error().message)};
  }
  return Place{*fresh, header, header.copy_end + kOpeningBytes};
}

Result<std::unique_ptr<Journal>> Opening::open(const JournalOptions& options, Recovery& out) {
  if (options.segment_bytes % kBlockBytes != 0 || options.segment_bytes < kSegmentBytesMin ||
      options.segment_bytes > kSegmentBytesMax) {
    return {Code::kInvalid, fmt::format("a segment of {} bytes: must be a multiple of {}, from {} to {}",
                                        options.segment_bytes, kBlockBytes, kSegmentBytesMin, kSegmentBytesMax)};
  }
  if (Status done = read(); !done.ok()) return done.error();
  if (!history_.seed_known) history_.seed = options.seed;
  if (history_.newest && files_[*history_.newest].header.segment_bytes != options.segment_bytes) {
    return {Code::kInvalid,
            fmt::format("{}: the journal has segments of {} bytes, asked for {}: the size is fixed when a journal is "
                        "new",
                        disk_.name(), files_[*history_.newest].header.segment_bytes, options.segment_bytes)};
  }
  pass_over_broken_checkpoint();
  const auto begun = begin_reign(options);
  if (!begun.ok()) return begun.error();
  const auto& [place, header, offset] = *begun;

  // In force. From here on the old version of the newest segment is free.
  if (Status removed = remove_leftovers(); !removed.ok()) return removed.error();
  std::unique_ptr<Journal> journal = make(options);
  journal->reign_ = header.reign;
  journal->durable_.store(history_.end.value());
  journal->mark_last_ = history_.end;
  for (const std::size_t index : history_.chain) {
    if (history_.newest == index) continue;
    SegmentFile& file = files_[index];
    journal->segments_[file.header.number] = {std::move(file.file), file.header};
  }
  journal->segments_[header.number] = {std::move(files_[place].file), header};
  journal->current_ = &journal->segments_[header.number];
  journal->segment_newest_.store(header.number);
  journal->offset_ = offset;
  journal->grown_ = journal->current_->file->size();
  journal->filled_.store(offset);
  journal->warm_.store(header.number > 1 || offset > Journal::warm_from(options.segment_bytes));
  for (SegmentFile& file : files_) {
    if (file.file != nullptr) journal->pool_.give(std::move(file.file));
  }
  journal->recycle();
  report(out);
  out.reign = header.reign;
  return journal;
}

Result<std::unique_ptr<Journal>> Opening::open_read_only(Recovery& out) {
  if (Status done = read(); !done.ok()) return done.error();
  JournalOptions options;
  if (history_.newest) options.segment_bytes = files_[*history_.newest].header.segment_bytes;
  std::unique_ptr<Journal> journal = make(options);
  journal->read_only_ = true;
  journal->reign_ = history_.reign;
  journal->durable_.store(history_.end.value());
  for (const std::size_t index : history_.chain) {
    SegmentFile& file = files_[index];
    journal->segments_[file.header.number] = {std::move(file.file), file.header};
  }
  if (history_.newest) journal->segment_newest_.store(files_[*history_.newest].header.number);
  report(out);
  out.reign = history_.reign;
  return journal;
}

}  // namespace weir::journal

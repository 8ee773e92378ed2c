// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"

namespace weir::host {

/// What the state in a local store is that of: all entries of the journal before `through`, as they were written in
/// `reign`. 0, 0: of none; what the store holds, if anything, is void.
struct LocalPosition {
  std::uint32_t reign = 0;
  std::uint64_t through = 0;
  friend bool operator==(const LocalPosition&, const LocalPosition&) = default;
};

/// State of one lane on this machine's disk: bytes by key, in order, and the position that they belong to. Outlives the
/// process; what of it outlives the machine is a prefix of what was written, whole batches only.
/// Thread: the runner's.
class LocalStore {
 public:
  using Change = std::pair<std::string, std::optional<BytesView>>;  ///< no value: erased

  virtual ~LocalStore() = default;
  [[nodiscard]] virtual LocalPosition position() const = 0;
  /// False: there is none. Errors: kIo, kCorrupt.
  virtual Result<bool> get(std::string_view key, std::string& value) = 0;
  /// The first key at or behind `from` that is before `end`, with its value; false where there is none. A walk in order
  /// is cheap. Errors: kIo, kCorrupt.
  virtual Result<bool> seek(std::string_view from, std::string_view end, std::string& key, std::string& value) = 0;
  /// All of it or nothing. Errors: kIo, kDiskFull.
  virtual Status write(const std::vector<Change>& changes, LocalPosition position) = 0;
  /// Nothing is in it, and its position is 0, 0.
  virtual Status clear() = 0;
  /// That it takes on the disk, about.
  [[nodiscard]] virtual std::uint64_t bytes() const = 0;
};

/// Opens the store of a lane: what an earlier process left on this machine, or an empty one. Closed when destroyed.
/// Errors: kIo with a sentence.
using OpenLocalStore = std::function<Result<std::unique_ptr<LocalStore>>(std::uint32_t lane)>;

}  // namespace weir::host

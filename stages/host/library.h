// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sdk/base/result.h"
#include "sdk/topology/topology.h"
#include "weir/abi.h"

namespace weir::host {

/// A stage library, loaded for good. Its descriptors are copied as far as their writer knew them, so that an older
/// library has null where it knows nothing, and a newer one is read no further than we know. Thread: one.
class Library {
 public:
  /// Errors: kNotFound, kRefused (no symbol of this ABI version, a descriptor that is too small or lacks what its kind
  /// needs), each with a sentence that names the library.
  static Result<Library> load(const std::string& path);

  [[nodiscard]] const std::vector<weir_descriptor>& stages() const { return stages_; }
  [[nodiscard]] const weir_descriptor* find(const std::string& name) const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::vector<weir_descriptor> stages_;
};

/// Finds the library of a plugin: those named, then the folder beside this program, then WEIR_LIBRARY_PATH.
class Libraries {
 public:
  explicit Libraries(std::vector<std::string> paths);
  /// Errors: kNotFound, listing what was searched; what Library::load says of one that was named.
  Result<const weir_descriptor*> find(const std::string& plugin);
  /// Where the library lies that has `plugin`, or null. REQUIRES: find() has found it.
  [[nodiscard]] const Library* holder(const std::string& plugin) const;

 private:
  std::vector<std::string> paths_;
  std::vector<std::unique_ptr<Library>> loaded_;
  std::string failures_;  ///< of those that could not be loaded
};

/// The libraries of a worker's stages: those that were named for a stage, and for the others whatever has the plugin.
/// Thread: one.
class StageLibraries {
 public:
  StageLibraries(std::map<std::string, std::string> named, std::vector<std::string> paths)
      : named_(std::move(named)), others_(std::move(paths)) {}
  /// Errors: as Libraries::find and Library::load.
  Result<const weir_descriptor*> find(const StageSpec& stage);
  /// Where the library lies that find() has found for `stage`.
  [[nodiscard]] const std::string& path_of(const std::string& stage) const { return found_.at(stage); }

 private:
  std::map<std::string, std::string> named_;  ///< by stage: a path
  Libraries others_;
  std::map<std::string, std::unique_ptr<Library>> loaded_;  ///< by path
  std::map<std::string, std::string> found_;                ///< by stage
};

/// All places where libraries lie: `named` first.
std::vector<std::string> library_paths(const std::vector<std::string>& named);

}  // namespace weir::host

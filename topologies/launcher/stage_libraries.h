// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sdk/base/result.h"
#include "sdk/topology/plugins.h"
#include "sdk/topology/topology.h"
#include "topologies/launcher/control_channel.h"
#include "topologies/launcher/kept_libraries.h"

namespace weir::launcher {

/// Which library each stage of a topology that runs here is to run with: the one that the topology leads to, or the one
/// that `weir upgrade` has chosen. Lifetime: topology must outlive it.
class StageLibraries {
 public:
  /// Looks at the libraries that the topology leads to. `standard`: the folder of those that come with Weir.
  StageLibraries(const Topology& topology, const Plugins& plugins, const std::string& data_dir,
                 const std::string& standard);

  /// What the topology leads to, for the broker.
  [[nodiscard]] const std::map<std::string, LibrarySaid>& own() const { return own_; }
  /// What the broker's journal says of all stages, or of one. What was chosen under another library in the topology
  /// than there is now counts no more. Errors: kNotFound where one that was chosen is gone, with what to do.
  Status choose(const std::map<std::string, LibrarySaid>& chosen);
  /// A sentence for each stage that runs with another library than the topology leads to, for people.
  [[nodiscard]] std::vector<std::string> chosen_otherwise() const;
  /// Keeps copies of the topology's own libraries that do not come with Weir. Answers what failed, for people.
  std::vector<std::string> keep_own() const;
  /// Deletes copies that nothing leads to any more. REQUIRES: no upgrade can be under way.
  void forget_others() const;

  /// What workers of `host` run, as they and the broker call it (sdk/wire/library_hash.h).
  [[nodiscard]] std::string text_of(const StageSpec& host) const;
  /// Stages in workers of `host` whose library was chosen and has not proven itself yet, with it.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> unproven(const StageSpec& host) const;
  /// One of them has a way back: to what a version replaced, and not to what was gone back to.
  [[nodiscard]] bool may_go_back(const StageSpec& host) const;
  /// The arguments that name them to a worker of `host`.
  [[nodiscard]] std::vector<std::string> arguments(const StageSpec& host) const;

 private:
  /// A file as it was when it was looked at.
  struct Looked {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t changed_ns = 0;
    friend bool operator==(const Looked&, const Looked&) = default;
  };
  static Looked look(const std::string& path);
  [[nodiscard]] std::vector<const StageSpec*> hosted(const StageSpec& host) const;

  const Topology& topology_;
  KeptLibraries kept_;
  std::string standard_;
  std::map<std::string, LibrarySaid> own_;  ///< by stage, as are the others
  std::map<std::string, Looked> looked_;
  std::map<std::string, LibrarySaid> chosen_;
};

}  // namespace weir::launcher

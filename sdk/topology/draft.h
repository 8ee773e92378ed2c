// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sdk/topology/plugins.h"
#include "sdk/topology/topology.h"

namespace weir {

/// More streams, and more stages, than anyone writes: so that checking takes no noticeable time whatever the file.
inline constexpr std::size_t kPartsMax = 4096;

/// One end of a stream as the file has it.
struct Joint {
  std::string pointer;  ///< of the name of the stream
  std::string port;
  std::uint32_t stream = 0;  ///< index into Topology::streams
};

/// What the rules must know of a stage beside its StageSpec.
struct StageDraft {
  std::string pointer;
  const Plugin* plugin = nullptr;  ///< null where the file names none that exists
  std::vector<Joint> inputs;       ///< as StageSpec::inputs
  std::vector<Joint> outputs;      ///< as StageSpec::outputs
  bool joints_known = true;        ///< false where an end was wrong: say nothing of ports that seem unbound
  bool endless = false;            ///< a source that never ends
  bool final = false;              ///< emits only when its input has ended
  bool order_sensitive = false;    ///< its result depends on the order of records across keys or producers
  std::string sharing_hint;        ///< what lets a sink have several workers, in the words of its schema
};

/// What the rules must know of a stream beside its Stream.
struct StreamDraft {
  std::string pointer;
  bool partition_known = true;  ///< false where it was wrong: say nothing that follows from it
  bool meant_as_input = false;  ///< a misspelt input probably meant it
  bool meant_as_output = false;
  std::vector<std::uint32_t> writers;  ///< stages, each once
  std::vector<std::uint32_t> readers;
};

/// A topology while it is being read and checked. `stages` and `streams` run beside those of `topology`.
struct Draft {
  Topology topology;
  std::vector<StageDraft> stages;
  std::vector<StreamDraft> streams;
};

/// By index, the stages that what the stages `from` emit comes to, and what those emit, and so on: one of `from` only
/// where it comes back to it.
std::vector<bool> stages_behind(const Draft& draft, std::vector<std::uint32_t> from);

}  // namespace weir

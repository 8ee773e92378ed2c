// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"

namespace weir::core {

/// A stage library by what is in it.
struct LibraryVersion {
  std::string hash;    ///< wire::library_hash(); "": none
  std::string name;    ///< of its file
  std::string origin;  ///< where that was, for people
  friend bool operator==(const LibraryVersion&, const LibraryVersion&) = default;
};

/// Which library a stage is to run with, since somebody wanted another than the topology leads to.
struct StageLibrary {
  enum class By : std::uint8_t {
    kPerson = 1,
    kBack = 2,    ///< a person wanted the one before
    kItself = 3,  ///< its workers could not run with the new one
  };
  LibraryVersion now;
  LibraryVersion before;  ///< that there is a way back to
  std::string in_file;    ///< hash of the one that the topology led to when this was decided
  By by{};
  std::string why;       ///< kItself
  bool settled = false;  ///< its workers have proven themselves: what befalls them later is no matter of the change
  std::string left;      ///< kBack, kItself: hash of the one that was gone back from; the topology may lead to it still
};

/// Body of kUpgraded. `unit` in the header is the stage.
struct Upgraded {
  enum class What : std::uint8_t {
    kWanted = 1,
    kSettled = 2,
    kForgotten = 3,  ///< the topology's own is to run again
  };
  What what{};
  StageLibrary library;  ///< kWanted
};

void put(ByteWriter& writer, const StageLibrary& library);
StageLibrary get_stage_library(ByteReader& reader);
/// What in it cannot be, as a part of a sentence; "" for nothing. Its hashes and names become parts of paths.
std::string contradiction_of(const StageLibrary& library);

Bytes encode(const Upgraded& upgraded);
Result<Upgraded> decode_upgraded(BytesView body);

}  // namespace weir::core

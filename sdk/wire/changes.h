// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"

namespace weir::wire {

/// Which of a shard's key spaces a change belongs to.
enum class Space : std::uint8_t {
  kState = 0,       ///< what a stage keeps under (name, key)
  kPosition = 1,    ///< a sink's committed position; name and key empty
  kDeadLetter = 2,  ///< a dead letter; name empty, key as in DeadLetter::key
  kRequeued = 3,    ///< erased by the transaction that works a requeued letter off; name empty, key its number
  kParked = 4,      ///< a record whose key is parked; name as in ParkedName, key as that of a dead letter
};

/// Bytes that the name of a state may have.
inline constexpr std::size_t kStateNameMax = UINT16_MAX;

/// A put or an erase (no value) of one entry of a (stage, shard)'s state. Borrowed.
struct Change {
  Space space = Space::kState;
  BytesView name;
  BytesView key;
  std::optional<BytesView> value;
};

/// Layout: u8 space, u8 put, u16 name size, u32 key size, u32 value size, then the three.
void append_change(Bytes& changes, const Change& change);

/// Whether two encoded changes are of the same entry. REQUIRES: a ChangesReader has found both well formed.
bool of_same_entry(const std::byte* a, const std::byte* b);
/// Space, name and key of an encoded change as a number, the same for changes of the same entry. REQUIRES: as above.
std::uint64_t hash_of_entry(const std::byte* change);
/// The change that begins at `encoded`. REQUIRES: as above.
Change decoded_change(const std::byte* encoded);

/// Walks changes one behind the other; never reads outside them.
class ChangesReader {
 public:
  explicit ChangesReader(BytesView changes) : changes_(changes) {}
  /// The next change, or nothing at the end and at the first malformed one; then ok() tells which.
  std::optional<Change> next();
  /// The same, but passes those of Space::kState over: they are many, and most readers only have to know that they are
  /// well formed.
  std::optional<Change> next_beside_state();
  [[nodiscard]] bool ok() const { return ok_; }
  /// Where the next one begins.
  [[nodiscard]] const std::byte* position() const { return changes_.data() + at_; }
  /// next_beside_state() has passed some over.
  [[nodiscard]] bool passed_state() const { return passed_state_; }

 private:
  struct Found;
  bool find(Found& found);

  BytesView changes_;
  std::size_t at_ = 0;
  bool ok_ = true;
  bool passed_state_ = false;
};

/// A record that a stage could not process. Kept as a change of the stage that failed, in the shard that consumed it.
struct DeadLetter {
  std::string stream;
  Shard shard;
  Offset offset;
  std::uint32_t attempts = 1;
  std::string reason;
  Timestamp timestamp = 0;
  BytesView key_bytes;    ///< MessagePack
  BytesView value_bytes;  ///< MessagePack
  BytesView headers;
};

/// The key of a dead letter: its place, so that it is there once. Big endian, so that it sorts by place.
Bytes dead_letter_key(const DeadLetter& letter);
/// The key of a requeued letter's erase: its number, 8 bytes big endian; and back.
Bytes requeued_key(std::uint64_t number);
std::optional<std::uint64_t> requeued_number(BytesView key);

/// The name of a parked record: its turn among those of (stage, shard), and what it takes of parked_bytes_max, so that
/// its erase gives back as much. Encoded big endian, so that names sort by turn.
struct ParkedName {
  std::uint64_t turn = 0;  ///< from 1; later ones are greater
  std::uint32_t bytes = 0;
};
Bytes encode(const ParkedName& name);
std::optional<ParkedName> decode_parked_name(BytesView name);

Bytes encode(const DeadLetter& letter);
/// Borrows `bytes`.
std::optional<DeadLetter> decode_dead_letter(BytesView bytes);

}  // namespace weir::wire

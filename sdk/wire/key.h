// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/base/result.h"
#include "sdk/topology/boundary.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/value_path.h"

namespace weir::wire {

/// Brings one MessagePack value to its shortest form: numbers and lengths in the fewest bytes, an integral float stays
/// a float, -0.0 becomes 0.0. Appends to `out`. Errors: kInvalid for NaN, maps, extension types and what is not exactly
/// one MessagePack value.
Status canonical_key(BytesView key, Bytes& out);

/// True if `key` is canonical already, judged by its first bytes only; false may just mean "look closer".
bool is_plainly_canonical(BytesView key);

/// XXH3-64, seed 0. `key` must be canonical.
std::uint64_t key_hash(BytesView canonical);
/// shard = high 64 bits of (XXH3-64(key, seed 0) x shards). `key` must be canonical.
Shard shard_by_hash(BytesView canonical, std::uint32_t shards);
Shard shard_of_hash(std::uint64_t hash, std::uint32_t shards);

/// The mathematical remainder: -1 of 32 shards is 31. Errors: kInvalid where the key is no integer.
Result<Shard> shard_by_modulo(BytesView canonical, std::uint32_t shards);

/// As many as `boundaries` are not above the key: a boundary is the first key of its shard. Errors: kInvalid where the
/// key is not of their kind, a number or a text. REQUIRES: `boundaries` are of one kind and rise.
Result<Shard> shard_by_range(BytesView canonical, std::span<const Boundary> boundaries);

/// A key as it stands in order, or nothing: it is no number and no text. Borrows it.
std::optional<Ordinal> ordinal_of_key(BytesView canonical);

/// The same where boundaries are learned: keys and boundaries may be of both kinds, and several boundaries equal (no
/// key lies between them). None yet: all keys lie in shard 0. Errors: kInvalid where the key is no number and no text.
Result<Shard> shard_by_learned_range(BytesView canonical, std::span<const Boundary> boundaries);
/// The same of what has been looked at already.
Shard shard_by_learned_range(const Ordinal& key, std::span<const Boundary> boundaries);

/// Replaces a record's key by the field or fields of its value that a stream names. Built once a stream.
class KeyFields {
 public:
  explicit KeyFields(const Stream& stream);
  [[nodiscard]] bool empty() const { return paths_.empty(); }
  /// Appends the key (MessagePack, not yet canonical) to `out`. Errors: kInvalid, naming the missing field.
  Status extract(BytesView value, Bytes& out) const;

 private:
  std::vector<ValuePath> paths_;
  std::vector<std::string> pointers_;
  bool list_ = false;
};

}  // namespace weir::wire

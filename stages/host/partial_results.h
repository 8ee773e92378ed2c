// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/wire/batch.h"

namespace weir::host {

/// What a stage has made, in the open transaction, of records of hot keys that are not in their key's shard: by key the
/// state under each name, and the greatest event time of the records in it. Ends with the transaction.
/// Thread: the runner's.
class PartialResults {
 public:
  /// A record of the key is in it.
  void note(BytesView key, Timestamp timestamp);
  /// Its state, when it is flushed. What was noted of no key gets no place here.
  void put(BytesView name, BytesView key, BytesView value);
  [[nodiscard]] bool empty() const { return latest_.empty(); }

  /// Takes all out, each as a record in the form of weir_descriptor::merge, which holds until `visit` returns.
  void drain(const std::function<void(wire::RecordRef& record)>& visit);

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Named {
    std::string name;
    std::string value;
  };
  struct Partial {
    Timestamp latest = INT64_MIN;
    std::vector<Named> states;
  };
  using Keys = std::unordered_map<std::string, Partial, Hash, std::equal_to<>>;
  Keys latest_;
  Keys::value_type* last_ = nullptr;  ///< that was noted last: of hot keys many come in a row
};

}  // namespace weir::host

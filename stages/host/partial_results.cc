// SPDX-License-Identifier: Apache-2.0
#include "stages/host/partial_results.h"

#include <algorithm>

#include "weir/encode.h"

namespace weir::host {
namespace {

std::string_view text(BytesView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

void PartialResults::note(BytesView key, Timestamp timestamp) {
  if (last_ == nullptr || last_->first != text(key)) {
    auto found = latest_.find(text(key));
    if (found == latest_.end()) found = latest_.try_emplace(std::string(text(key))).first;
    last_ = &*found;
  }
  last_->second.latest = std::max(last_->second.latest, timestamp);
}

void PartialResults::put(BytesView name, BytesView key, BytesView value) {
  const auto found = latest_.find(text(key));
  if (found != latest_.end()) found->second.states.push_back({std::string(text(name)), std::string(text(value))});
}

void PartialResults::drain(const std::function<void(wire::RecordRef& record)>& visit) {
  std::string value;
  for (const auto& [key, partial] : latest_) {
    if (partial.states.empty()) continue;  // the stage kept nothing of them
    value.clear();
    encode_array_head(value, static_cast<std::uint32_t>(2 * partial.states.size()));
    for (const Named& state : partial.states) {
      encode_binary(value, state.name);
      encode_binary(value, state.value);
    }
    wire::RecordRef record{partial.latest, as_bytes(key), as_bytes(value), {}};
    visit(record);
  }
  latest_.clear();
  last_ = nullptr;
}

}  // namespace weir::host

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "weir/stage.h"

namespace weir::keyed {

/// When a stage with a result per key says it: after every record, or once when the input has ended.
enum class Emission { kEvery, kFinal };

inline Emission emission_of(const Config& config) {
  return config.get<std::string>("/emit", "every") == "final" ? Emission::kFinal : Emission::kEvery;
}

/// Whether a result is said after a record, or a partial result. Of what is part of one nobody would hear.
inline bool says_each(Emission emission, const Context& out) { return emission == Emission::kEvery && !out.partial(); }

/// Emits `state.result()` for every key, with the greatest timestamp of the key's records. The rest of final.
template <typename State>
void emit_all(Context& out) {
  out.drain_state<State>(
      [&](ValueView key, const State& state) { out.emit(key, state.result(), {.timestamp = state.latest}); });
}

}  // namespace weir::keyed

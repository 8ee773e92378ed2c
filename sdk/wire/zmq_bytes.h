// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <zmq.hpp>

#include "sdk/base/bytes.h"

namespace weir::wire {

/// A message made of `bytes` without copying them: libzmq frees them when they are sent, on a thread of its own. Who
/// includes this links libzmq.
inline zmq::message_t zmq_message(Bytes bytes) {
  auto* held = new Bytes(std::move(bytes));
  return zmq::message_t(
      held->data(), held->size(), [](void*, void* hint) { delete static_cast<Bytes*>(hint); }, held);
}

}  // namespace weir::wire

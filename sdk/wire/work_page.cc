// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/work_page.h"

namespace weir::wire {

std::string_view to_string(Doing doing) {
  switch (doing) {
    case Doing::kNothing:
      return "at nothing of a stage's";
    case Doing::kCreate:
      return "creating the stage";
    case Doing::kRestore:
      return "loading state";
    case Doing::kProcess:
      return "processing a record";
    case Doing::kRequeued:
      return "processing a requeued record";
    case Doing::kWatermark:
      return "in on_watermark";
    case Doing::kFinish:
      return "in finish";
    case Doing::kEnumerate:
      return "naming splits";
    case Doing::kRead:
      return "in read";
    case Doing::kFlush:
      return "flushing state or a sink";
    case Doing::kOpen:
      return "opening a sink's target";
    case Doing::kClose:
      return "closing a sink's target";
    case Doing::kDurable:
      return "in on_durable";
    case Doing::kDestroy:
      return "ending the stage";
  }
  return "at something unknown";
}

}  // namespace weir::wire

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sdk/wire/work_page.h"

namespace weir::host {

/// The page that the launcher shares with this process by `descriptor`, for as long as the process lives; null where
/// that is none. The descriptor is closed.
wire::WorkPage* map_page(int descriptor);

}  // namespace weir::host

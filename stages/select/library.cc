// SPDX-License-Identifier: Apache-2.0
#include "weir/library.h"

#include "stages/select/filter.h"
#include "stages/select/select.h"

WEIR_LIBRARY(weir::stage<weir::select::Select>("select"), weir::stage<weir::select::Filter>("filter"));

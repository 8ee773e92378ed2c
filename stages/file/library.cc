// SPDX-License-Identifier: Apache-2.0
#include "weir/library.h"

#include "stages/file/lines.h"
#include "stages/file/write.h"

WEIR_LIBRARY(weir::stage<weir::file::Lines>("file.lines"), weir::stage<weir::file::Write>("file.write"));

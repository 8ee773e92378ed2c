// SPDX-License-Identifier: Apache-2.0
#include "weir/library.h"

#include "stages/console/print.h"

WEIR_LIBRARY(weir::stage<weir::console::Print>("console.print"));

// SPDX-License-Identifier: Apache-2.0
#include "weir/library.h"

#include "stages/keyed/count.h"
#include "stages/keyed/reduce.h"
#include "stages/keyed/sum.h"

WEIR_LIBRARY(weir::stage<weir::keyed::Count>("keyed.count"), weir::stage<weir::keyed::Reduce>("keyed.reduce"),
             weir::stage<weir::keyed::Sum>("keyed.sum"));

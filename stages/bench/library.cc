// SPDX-License-Identifier: Apache-2.0
#include "weir/library.h"

#include "stages/bench/lines.h"
#include "stages/bench/number.h"
#include "stages/bench/pass.h"
#include "stages/bench/records.h"
#include "stages/bench/sink.h"
#include "stages/bench/spread.h"

WEIR_LIBRARY(weir::stage<weir::bench::Records>("bench.records"), weir::stage<weir::bench::Lines>("bench.lines"),
             weir::stage<weir::bench::Number>("bench.number"), weir::stage<weir::bench::Pass>("bench.pass"),
             weir::stage<weir::bench::Digest>("bench.sink"), weir::stage<weir::bench::Spread>("bench.spread"));

// SPDX-License-Identifier: Apache-2.0
#include "weir/library.h"

#include "stages/generate/sequence.h"
#include "stages/generate/values.h"

WEIR_LIBRARY(weir::stage<weir::generate::Sequence>("generate.sequence"),
             weir::stage<weir::generate::Values>("generate.values"));

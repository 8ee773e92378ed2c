// SPDX-License-Identifier: Apache-2.0
#include "weir/library.h"

#include "stages/text/json.h"
#include "stages/text/regex.h"
#include "stages/text/words.h"

WEIR_LIBRARY(weir::stage<weir::text::Json>("text.json"), weir::stage<weir::text::Regex>("text.regex"),
             weir::stage<weir::text::Words>("text.words"));

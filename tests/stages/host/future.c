/* SPDX-License-Identifier: Apache-2.0 */
/* A library that was built for another major version of the boundary. */
#include "weir/abi.h"

WEIR_EXPORT const void* weir_library_v2(void);
const void* weir_library_v2(void) { return 0; }

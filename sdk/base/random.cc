// SPDX-License-Identifier: Apache-2.0
#include "sdk/base/random.h"

#include <sys/random.h>

#include "sdk/base/check.h"

namespace weir {

std::uint64_t random_number() {
  std::uint64_t number = 0;
  WEIR_CHECK(getrandom(&number, sizeof(number), 0) == sizeof(number), "the kernel gives random numbers");
  return number;
}

}  // namespace weir

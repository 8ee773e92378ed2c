// SPDX-License-Identifier: Apache-2.0
#include "weir/compare.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tests/support/fake_host.h"
#include "weir/encode.h"

namespace weir {
namespace {

std::partial_ordering order(const std::string& left, const std::string& right) {
  return compare(ValueView(std::as_bytes(std::span(left))).token(), ValueView(std::as_bytes(std::span(right))).token());
}

TEST(Compare, OrdersNumbersByValueWhateverTheirKind) {
  // In order, no two alike; each is between its neighbours exactly, also where a double would round.
  const std::vector<std::string> ascending = {"-1e300",
                                              "-9223372036854775808",
                                              "-9223372036854775807",
                                              "-4.5",
                                              "-4",
                                              "-0.5",
                                              "0",
                                              "0.5",
                                              "1",
                                              "9007199254740992.0",
                                              "9007199254740993",
                                              "9223372036854775807",
                                              "9223372036854775808.0",
                                              "18446744073709551615",
                                              "18446744073709551616.0"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(order(testing_host::msgpack(ascending[i]), testing_host::msgpack(ascending[j])), i <=> j)
          << ascending[i] << " and " << ascending[j];
    }
  }
  EXPECT_EQ(order(testing_host::msgpack("2"), testing_host::msgpack("2.0")), std::partial_ordering::equivalent);
}

TEST(Compare, LeavesNaNAndDifferentKindsWithoutOrder) {
  std::string nan;
  encode_real(nan, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(order(nan, nan), std::partial_ordering::unordered);
  EXPECT_EQ(order(nan, testing_host::msgpack("1")), std::partial_ordering::unordered);
  EXPECT_EQ(order(testing_host::msgpack("1"), nan), std::partial_ordering::unordered);
  EXPECT_EQ(order(testing_host::msgpack("1"), testing_host::msgpack("\"1\"")), std::partial_ordering::unordered);
  EXPECT_EQ(order(testing_host::msgpack("[1]"), testing_host::msgpack("[1]")), std::partial_ordering::unordered);
}

}  // namespace
}  // namespace weir

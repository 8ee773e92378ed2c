// SPDX-License-Identifier: Apache-2.0
#include "stages/host/output.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <new>

namespace weir::host {
namespace {

const Bytes kNumber = {std::byte{7}};

wire::RecordRef small() { return {1000, wire::nil_bytes(), kNumber, {}}; }
/// Larger than any memory; never read, since there is no room to copy it to.
wire::RecordRef vast() { return {1000, wire::nil_bytes(), BytesView(kNumber.data(), SIZE_MAX / 2), {}}; }

Stream stream() {
  Stream stream;
  stream.name = "out";
  stream.shards = 1;
  return stream;
}

TEST(Output, TakesBackWhatFoundNoMemoryAndNothingElse) {
  const Stream out = stream();
  FrameBuilder builder(0, 1);
  Output output(out, 0, &builder);
  wire::RecordRef record = small();
  ASSERT_TRUE(output.add(record, 0).ok());
  output.mark();
  ASSERT_TRUE(output.add(record, 0).ok());
  wire::RecordRef large = vast();
  EXPECT_THROW((void)output.add(large, 0), std::bad_alloc);
  EXPECT_EQ(output.undo(), 1U);
  EXPECT_EQ(builder.shard(0).count, 1U);
  EXPECT_EQ(builder.shard(0).records.size(), wire::record_bytes(record));
}

TEST(Output, TakesBackWhatFoundNoMemoryForTheNextStageOfAChain) {
  const Stream out = stream();
  Output output(out, 0, nullptr);
  wire::RecordRef record = small();
  ASSERT_TRUE(output.add(record, 5).ok());
  output.mark();
  wire::RecordRef large = vast();
  EXPECT_THROW((void)output.add(large, 6), std::bad_alloc);
  EXPECT_EQ(output.undo(), 0U);
  EXPECT_EQ(output.fused_batch().count, 1U);
  EXPECT_EQ(output.fused_batch().origins, std::vector<std::uint64_t>{5});
}

}  // namespace
}  // namespace weir::host

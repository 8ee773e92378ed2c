// SPDX-License-Identifier: Apache-2.0
// Checkpoints: what is taken contradicts itself nowhere, and encodes to what is taken again.
#include "tests/broker/core/old_checkpoint.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ledger_seeds.h"

namespace weir::fuzz {
namespace {

bool is_worth_it(BytesView bytes) {
  ByteReader reader(bytes);
  (void)reader.get<std::uint32_t>();
  (void)reader.text();
  return fuzz::is_small(reader.text());
}

}  // namespace

std::vector<Bytes> seeds() {
  const std::vector<Bytes> entries = ledger_entries();
  std::vector<Bytes> list;
  for (std::size_t count = 1; count <= entries.size(); ++count) {
    core::Ledger ledger(ledger_topology());
    const Status status = replay(ledger, {entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count)});
    WEIR_CHECK(status.ok(), status.error().message);
    std::vector<core::Ledger::Fixup> fixups;
    list.push_back(ledger.encode_checkpoint(fixups));
    for (const std::uint32_t version : {1U, 2U, 3U}) list.push_back(core::old_checkpoint(ledger, version));
  }
  return list;
}

}  // namespace weir::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace weir;  // NOLINT
  const BytesView input = fuzz::input_of(bytes, size);
  if (!fuzz::is_worth_it(input)) return 0;
  core::Ledger ledger(fuzz::ledger_topology());
  if (!ledger.decode_checkpoint(input).ok()) return 0;
  fuzz::check_encoding(ledger, fuzz::ledger_topology());
  fuzz::look_around(ledger);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Entries of the journal as a start applies them: u32 size and so many bytes each. What is taken makes a ledger that
// leads nowhere astray, and that a checkpoint can hold.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ledger_seeds.h"

namespace weir::fuzz {
namespace {

Bytes encode_list(const std::vector<Bytes>& entries) {
  Bytes bytes;
  ByteWriter writer(bytes);
  for (const Bytes& each : entries) writer.blob(each);
  return bytes;
}

/// Whether an entry of a topology is worth its time.
bool is_worth_it(BytesView payload) {
  if (payload.size() <= sizeof(core::EntryHeader)) return true;
  return fuzz::is_small(as_text(payload.subspan(sizeof(core::EntryHeader))));
}

}  // namespace

std::vector<Bytes> seeds() {
  const std::vector<Bytes> entries = ledger_entries();
  std::vector<Bytes> list = {encode_list(entries)};
  // Ends at each, so that what follows it is tried often.
  for (std::size_t count = 1; count < entries.size(); ++count)
    list.push_back(encode_list({entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count)}));
  return list;
}

}  // namespace weir::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace weir;  // NOLINT
  std::vector<Bytes> entries;
  ByteReader reader(fuzz::input_of(bytes, size));
  while (reader.ok() && !reader.at_end()) {
    const BytesView payload = reader.blob();
    if (!reader.ok() || !fuzz::is_worth_it(payload)) break;
    entries.emplace_back(payload.begin(), payload.end());
  }
  core::Ledger ledger(fuzz::ledger_topology());
  if (!fuzz::replay(ledger, entries).ok()) return 0;
  if (!entries.empty()) fuzz::check_encoding(ledger, fuzz::ledger_topology());
  fuzz::look_around(ledger);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "weir/pointer.h"

#include <gtest/gtest.h>

#include <array>
#include <msgpack.hpp>
#include <random>
#include <string>
#include <vector>

namespace weir {
namespace {

const std::array<std::string, 6> kNames = {"n", "pad", "", "0", "12", std::string(40, 'l')};

/// Any value, with heads as long as it likes.
class Writer {
 public:
  explicit Writer(unsigned seed) : random_(seed) {}

  std::string value(int depth = 0) {
    bytes_.clear();
    any(depth);
    return bytes_;
  }

 private:
  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }
  void put(unsigned tag, std::uint64_t number, int bytes) {
    bytes_.push_back(static_cast<char>(tag));
    for (int i = bytes - 1; i >= 0; --i) bytes_.push_back(static_cast<char>(number >> (8 * i)));
  }
  void text(const std::string& text) {
    const auto size = static_cast<unsigned>(text.size());
    switch (below(5)) {
      case 0:
        put(0xd9, size, 1);
        break;
      case 1:
        put(0xda, size, 2);
        break;
      case 2:
        put(0xdb, size, 4);
        break;
      default:
        size < 32 ? put(0xa0 | size, 0, 0) : put(0xd9, size, 1);
    }
    bytes_ += text;
  }
  void head(unsigned fixed, unsigned longer, unsigned count) {
    switch (below(4)) {
      case 0:
        return put(longer, count, 2);
      case 1:
        return put(longer + 1, count, 4);
      default:
        return put(fixed | count, 0, 0);
    }
  }
  void scalar() {
    static constexpr std::array<std::array<unsigned, 2>, 14> kTags = {{{0xc0, 0},
                                                                       {0xc2, 0},
                                                                       {0xc3, 0},
                                                                       {0xca, 4},
                                                                       {0xcb, 8},
                                                                       {0xcc, 1},
                                                                       {0xcd, 2},
                                                                       {0xce, 4},
                                                                       {0xcf, 8},
                                                                       {0xd0, 1},
                                                                       {0xd1, 2},
                                                                       {0xd2, 4},
                                                                       {0xd3, 8},
                                                                       {0xe5, 0}}};
    const auto [tag, bytes] = kTags[below(kTags.size())];
    put(tag, tag == 0xca || tag == 0xcb ? 0 : random_() * 0x100000001ULL, static_cast<int>(bytes));
  }
  void any(int depth) {
    const unsigned kind = below(depth < 3 ? 8 : 5);
    if (kind < 2) return scalar();
    if (kind == 2) return text(kNames[below(kNames.size())]);
    if (kind == 3) return put(below(0x80), 0, 0);
    if (kind == 4) {
      put(0xc4, 3, 1);
      bytes_ += "bin";
      return;
    }
    const unsigned count = below(4);
    if (kind == 5) {
      head(0x90, 0xdc, count);
      for (unsigned i = 0; i < count; ++i) any(depth + 1);
      return;
    }
    head(0x80, 0xde, count);
    for (unsigned i = 0; i < count; ++i) {
      below(8) == 0 ? any(depth + 1) : text(kNames[below(kNames.size())]);
      any(depth + 1);
    }
  }

  std::mt19937 random_;
  std::string bytes_;
};

/// What msgpack-c finds: null where the steps lead nowhere.
const msgpack::object* follow(const msgpack::object* at, const std::vector<std::string>& steps) {
  for (const std::string& step : steps) {
    const msgpack::object* next = nullptr;
    if (at->type == msgpack::type::MAP) {
      for (std::uint32_t i = 0; i < at->via.map.size && next == nullptr; ++i) {
        const auto& [key, value] = at->via.map.ptr[i];
        if (key.type == msgpack::type::STR && key.as<std::string>() == step) next = &value;
      }
    } else if (at->type == msgpack::type::ARRAY && (step == "0" || step == "12")) {
      const auto index = static_cast<std::uint32_t>(std::stoi(step));
      if (index < at->via.array.size) next = &at->via.array.ptr[index];
    }
    if (next == nullptr) return nullptr;
    at = next;
  }
  return at;
}

/// With the shortest heads.
std::string packed(const msgpack::object& object) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, object);
  return {buffer.data(), buffer.size()};
}

TEST(Pointer, FindsWhatMsgpackDoes) {
  std::mt19937 random(5);
  Writer writer(7);
  int found = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string bytes = writer.value();
    std::vector<std::string> steps(random() % 3);
    std::string text;
    for (std::string& step : steps) text += "/" + (step = kNames[random() % kNames.size()]);
    const auto unpacked = msgpack::unpack(bytes.data(), bytes.size());
    const msgpack::object* expected = follow(&unpacked.get(), steps);
    const auto actual = Pointer(text).find(ValueView(std::as_bytes(std::span(bytes))));
    ASSERT_EQ(actual.has_value(), expected != nullptr) << text << " in " << unpacked.get();
    if (expected == nullptr) continue;
    ++found;
    const auto at = reinterpret_cast<const char*>(actual->bytes().data());
    const auto again = msgpack::unpack(at, actual->bytes().size());
    ASSERT_EQ(packed(again.get()), packed(*expected)) << text << " in " << unpacked.get();
  }
  EXPECT_GT(found, 5'000);
}

TEST(Pointer, FindsNothingInWhatIsCutShort) {
  Writer writer(11);
  for (int round = 0; round < 2'000; ++round) {
    const std::string whole = writer.value();
    for (std::size_t size = 1; size < whole.size(); ++size) {
      // Of its own size, so that a sanitizer sees who reads behind it.
      const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      for (const char* text : {"", "/n", "/0"}) {
        const auto found = Pointer(text).find(ValueView(std::as_bytes(std::span(cut))));
        if (*text == '\0') {
          ASSERT_FALSE(found) << size << " of " << whole.size() << " bytes";
        } else if (found) {
          ASSERT_LE(found->bytes().data() + found->bytes().size(), std::as_bytes(std::span(cut)).data() + size);
        }
      }
    }
  }
}

}  // namespace
}  // namespace weir

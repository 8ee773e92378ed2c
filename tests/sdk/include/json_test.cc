// SPDX-License-Identifier: Apache-2.0
#include "weir/json.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/support/fake_host.h"
#include "weir/json_reader.h"

namespace weir {
namespace {

using testing_host::json;
using testing_host::msgpack;

TEST(JsonWriter, WritesWhatTheContractsSayOfRecords) {
  const auto written = [](auto value) {
    std::string bytes;
    encode(bytes, value);
    return json(bytes);
  };
  EXPECT_EQ(written(-7), "-7");
  EXPECT_EQ(written(UINT64_MAX), "18446744073709551615");
  EXPECT_EQ(written(1.0), "1.0");
  EXPECT_EQ(written(0.1), "0.1");
  EXPECT_EQ(written(1e300), "1e+300");
  EXPECT_EQ(written(std::numeric_limits<double>::quiet_NaN()), "null");
  EXPECT_EQ(written(-std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(written(std::as_bytes(std::span("wei", 3))), R"({"$binary":"d2Vp"})");
  EXPECT_EQ(written(std::string("a\"\\\n\x01z")), R"("a\"\\\n\u0001z")");
  EXPECT_EQ(written(std::map<int, std::string>{{1, "one"}}), R"({"1":"one"})");
  EXPECT_EQ(written(std::map<std::vector<int>, bool>{{{1, 2}, true}}), R"({"[1,2]":true})");
}

TEST(JsonWriter, ReplacesAndCountsWhatIsNoUtf8) {
  std::string bytes;
  encode_text(bytes, "gr\xc3\xbc\xc3\x9f \xff\xe2\x82 \xed\xa0\x80.");
  std::string out;
  JsonWriter writer(out);
  ASSERT_TRUE(writer.value(testing_host::view(bytes)));
  // As the Unicode standard (section 3.9) does: E2 82 is one maximal subpart; ED A0 80, a surrogate, is three.
  EXPECT_EQ(out, "\"gr\xc3\xbc\xc3\x9f \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.\"");
  EXPECT_EQ(writer.replaced(), 5U);
}

TEST(JsonWriter, LeavesNothingOfAValueThatIsMalformed) {
  std::string out = "before";
  EXPECT_FALSE(JsonWriter(out).value(testing_host::view("\x92\x01")));
  EXPECT_FALSE(JsonWriter(out).value(testing_host::view("\x01\x01")));
  EXPECT_FALSE(JsonWriter(out).value(testing_host::view(std::string(100, '\x91') + "\x01")));
  EXPECT_FALSE(JsonWriter(out).record(testing_host::view("\xc0"), testing_host::view("\xc1"), 0));
  EXPECT_EQ(out, "before");
}

TEST(JsonReader, ReadsBackWhatWasWritten) {
  for (const char* text :
       {R"({"a":[1,-1,2.5,null,true,false,"x"],"b":{},"c":[]})", R"("\"\\/")", "0", "-9223372036854775808",
        "18446744073709551615", R"({"$binary":"AAECAw=="})", R"("grüß 😀")"}) {
    EXPECT_EQ(nlohmann::json::parse(json(msgpack(text))), nlohmann::json::parse(text)) << text;
  }
  EXPECT_EQ(json(msgpack(R"("\u00fc\ud83d\ude00\u0000")")), "\"\xc3\xbc\xf0\x9f\x98\x80\\u0000\"");
  EXPECT_EQ(msgpack(R"({"$binary":"AAECAw=="})"), std::string("\xc4\x04\x00\x01\x02\x03", 6));
  EXPECT_EQ(msgpack("18446744073709551616")[0], '\xcb');
}

TEST(JsonReader, AgreesWithAnotherParserOnMutatedTexts) {
  const std::vector<std::string> seeds = {
      R"({"user": {"id": 17, "name": "Ann\n\u00e9"}, "tags": ["a", "b", []], "score": -1.5e3, "ok": true, "none": null})",
      R"([0, -0, 1e5, 0.25, "", {"": {}}, [[[]]], 123456789012345678901234567890])", R"("\ud83d\ude00 grüß")"};
  const std::string alphabet = "{}[]\",:0123456789.eE+-\\utrnfalse \x80\xc3\x01";
  std::mt19937 random(7);
  int accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string text = seeds[random() % seeds.size()];
    for (auto edits = random() % 4; edits > 0; --edits) {
      const std::size_t at = random() % text.size();
      const char byte = alphabet[random() % alphabet.size()];
      switch (random() % 3) {
        case 0:
          text[at] = byte;
          break;
        case 1:
          text.insert(at, 1, byte);
          break;
        default:
          text.erase(at, 1);
      }
    }
    std::string bytes;
    JsonReader reader;
    const bool read = reader.read(text, bytes);
    const auto expected = nlohmann::json::parse(text, nullptr, false);
    if (!read && reader.error().ends_with("a name stands twice in an object")) continue;  // the other takes the last
    ASSERT_EQ(read, !expected.is_discarded()) << text << ": " << reader.error();
    if (!read) {
      EXPECT_TRUE(bytes.empty());
      continue;
    }
    ++accepted;
    ASSERT_EQ(nlohmann::json::from_msgpack(bytes), expected) << text;
  }
  EXPECT_GT(accepted, 5'000);
}

TEST(JsonReader, RefusesWhatItCannotKeep) {
  const auto error = [](const std::string& text) {
    std::string bytes;
    JsonReader reader;
    return reader.read(text, bytes) ? "read" : reader.error();
  };
  EXPECT_EQ(error(R"({"a":1,"a":2})"), "byte 13: a name stands twice in an object");
  EXPECT_EQ(error("1e999"), "byte 5: a number is too large");
  EXPECT_EQ(error("1e-999"), "read");
  const std::string zeros(400, '0');
  EXPECT_EQ(error("0." + zeros + "1"), "read") << "too small is 0";
  EXPECT_EQ(error("1" + zeros + "e-5"), "byte 404: a number is too large");
  EXPECT_EQ(error("-0." + zeros + "1e800"), "byte 408: a number is too large");
  EXPECT_EQ(error("1" + zeros + "e-99999999999999999999"), "read");
  EXPECT_EQ(error("\"abc"), "byte 4: a string is not closed");
  EXPECT_EQ(error("1 2"), "byte 2: something follows the value");
  EXPECT_EQ(error("\"\\ud800\""), "byte 7: half of a surrogate pair");
  EXPECT_EQ(error(""), "byte 0: the text ends where a value should stand");
  EXPECT_EQ(error(std::string(33, '[') + std::string(33, ']')), "byte 32: nested too deeply");
  EXPECT_EQ(error(std::string(32, '[') + std::string(32, ']')), "read");
  std::string many = "{";
  for (int i = 0; i < 1000; ++i) many.append("\"").append(std::to_string(i)).append("\":0,");
  EXPECT_EQ(error(many + "\"x\":0}"), "read");
  EXPECT_TRUE(error(many + "\"500\":0}").ends_with("a name stands twice in an object"));
}

TEST(Base64, RoundTripsEveryLength) {
  std::mt19937 random(3);
  for (std::size_t size = 0; size < 100; ++size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    std::string text;
    append_base64(text, bytes);
    std::string back;
    ASSERT_TRUE(decode_base64(back, text));
    EXPECT_EQ(back, bytes);
  }
  std::string out;
  EXPECT_FALSE(decode_base64(out, "abc"));
  EXPECT_FALSE(decode_base64(out, "ab=c"));
  EXPECT_FALSE(decode_base64(out, "a==="));
}

}  // namespace
}  // namespace weir

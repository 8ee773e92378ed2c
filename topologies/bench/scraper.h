// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace weir::bench {

/// Reads /metrics of a topology ten times a second, as often as nobody does, so that a short run shows what that costs.
class Scraper {
 public:
  explicit Scraper(std::string data_dir) : data_dir_(std::move(data_dir)) {}

  /// Reads if it is time, and if somebody answers.
  void look();
  /// How often metrics were read.
  [[nodiscard]] std::uint64_t scraped() const { return scraped_; }

 private:
  std::string data_dir_;
  std::uint64_t last_ns_ = 0;
  std::uint64_t scraped_ = 0;
};

}  // namespace weir::bench

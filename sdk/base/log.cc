// SPDX-License-Identifier: Apache-2.0
#include "sdk/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

namespace weir::log {

bool start(std::string_view process, std::string_view level) {
  spdlog::level::level_enum shown = spdlog::level::info;
  if (level == "debug") {
    shown = spdlog::level::debug;
  } else if (level == "warning") {
    shown = spdlog::level::warn;
  } else if (level == "error") {
    shown = spdlog::level::err;
  } else if (level != "info") {
    return false;
  }
  auto logger =
      std::make_shared<spdlog::logger>(std::string(process), std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(shown);
  logger->flush_on(spdlog::level::debug);
  logger->set_pattern("%n: %l: %v");
  spdlog::set_default_logger(std::move(logger));
  return true;
}

void write(Level level, std::string_view text) {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::warn, spdlog::level::err};
  spdlog::default_logger_raw()->log(kLevels[static_cast<int>(level)], "{}", text);
}

}  // namespace weir::log

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "sdk/base/check.h"

namespace weir::server {

/// Where other threads leave work for the server's thread: calls, run in order. Bounded: who posts waits while it is
/// full. A descriptor becomes readable when something is there, so that the server waits for it and its sockets
/// together.
class Mailbox {
 public:
  using Call = std::function<void()>;

  explicit Mailbox(std::size_t calls_max) : calls_max_(calls_max), descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    WEIR_CHECK(descriptor_ >= 0, "the kernel gives an eventfd");
  }
  ~Mailbox() { close(descriptor_); }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Leaves `call`. False, and not left, once the mailbox is closed. [any thread but the server's]
  bool post(Call call) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return takes(); });
    return leave(std::move(call));
  }

  /// What `question` answers when its turn comes. Nothing where that is not within `longest`, or the mailbox is closed
  /// before. [any thread but the server's]
  template <typename Question>
  auto ask(Question question, std::chrono::milliseconds longest) -> std::optional<decltype(question())> {
    const auto until = std::chrono::steady_clock::now() + longest;
    auto promise = std::make_shared<std::promise<decltype(question())>>();
    auto answer = promise->get_future();
    {
      std::unique_lock lock(mutex_);
      if (!room_.wait_until(lock, until, [this] { return takes(); })) return std::nullopt;
      if (!leave([question = std::move(question), promise = std::move(promise)] { promise->set_value(question()); })) {
        return std::nullopt;
      }
    }
    if (answer.wait_until(until) != std::future_status::ready) return std::nullopt;
    try {
      return answer.get();
    } catch (const std::future_error&) {
      return std::nullopt;  // it was dropped when the mailbox was closed
    }
  }

  /// Runs what is there. [server]
  void run() {
    std::uint64_t count = 0;
    (void)!read(descriptor_, &count, sizeof(count));
    std::deque<Call> taken;
    {
      const std::lock_guard lock(mutex_);
      taken.swap(calls_);
    }
    room_.notify_all();
    for (const Call& call : taken) call();
  }

  /// Nobody waits any more, and nothing new is taken. [any thread]
  void close_for_good() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    calls_.clear();
    room_.notify_all();
  }

  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  /// Under mutex_, as leave().
  [[nodiscard]] bool takes() const { return closed_ || calls_.size() < calls_max_; }
  bool leave(Call call) {
    if (closed_) return false;
    calls_.push_back(std::move(call));
    const std::uint64_t one = 1;
    if (calls_.size() == 1) (void)!write(descriptor_, &one, sizeof(one));
    return true;
  }

  std::size_t calls_max_;
  int descriptor_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::deque<Call> calls_;
  bool closed_ = false;
};

}  // namespace weir::server

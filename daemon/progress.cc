#include "daemon/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace fugo::daemon {
namespace {

constexpr std::size_t kBarWidth = 30;
constexpr std::chrono::milliseconds kRedraw{100};

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::max(seconds, 0.0) + 0.5);
  const auto minutes = whole / 60, hours = minutes / 60;
  if (whole < 120) return fmt::format("{} s", whole);
  if (minutes < 120) return fmt::format("{} min {:02} s", minutes, whole % 60);
  if (hours < 48) return fmt::format("{} h {:02} min", hours, minutes % 60);
  return fmt::format("{} days {:02} h", hours / 24, hours % 24);
}

std::string grouped(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string progress_line(const std::string& title, std::uint64_t first_done, std::uint64_t done,
                          std::uint64_t total, double seconds) {
  if (total == 0) return fmt::format("{} {}", title, grouped(done));
  done = std::min(done, total);
  const double part = static_cast<double>(done) / static_cast<double>(total);
  const auto filled = static_cast<std::size_t>(part * static_cast<double>(kBarWidth));
  std::string line =
      fmt::format("{} [{}{}] {:3.0f} % {}/{}", title, std::string(filled, '#'),
                  std::string(kBarWidth - filled, ' '), part * 100, grouped(done), grouped(total));
  if (done <= first_done || seconds <= 0) return line;
  const double rate = static_cast<double>(done - first_done) / seconds;
  line += fmt::format(" {}/s {} left", grouped(static_cast<std::uint64_t>(rate)),
                      duration_text(static_cast<double>(total - done) / rate));
  return line;
}

Progress::Progress(std::string title, bool enabled)
    : enabled_(enabled && ::isatty(STDERR_FILENO) == 1),
      title_(std::move(title)),
      started_(Clock::now()) {}

Progress::~Progress() {
  const std::lock_guard lock(mutex_);
  clear();
}

void Progress::stage(const std::string& title) {
  const std::lock_guard lock(mutex_);
  if (title == title_) return;
  title_ = title;
  counting_ = false;
}

void Progress::update(std::uint64_t done, std::uint64_t total) {
  if (!enabled_) return;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (!counting_) {
    counting_ = true;
    started_ = now;
    first_done_ = done;
  }
  if (visible_ && now - drawn_ < kRedraw && done < total) return;
  drawn_ = now;
  visible_ = true;
  const double seconds = std::chrono::duration<double>(now - started_).count();
  fmt::print(stderr, "\r\033[K{}", progress_line(title_, first_done_, done, total, seconds));
  std::fflush(stderr);
}

void Progress::clear() {
  if (!visible_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  visible_ = false;
}

}  // namespace fugo::daemon

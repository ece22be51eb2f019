#include "tls/ticket_keys.h"

#include <algorithm>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/check.h"

namespace onebox::tls {
namespace {

// Beyond it the steps between are left out: a clock that was years off was just set.
constexpr std::int64_t kStepsMax = 10'000;

template <std::size_t kSize>
void DeriveInto(const TicketKeys::Secret& secret,
                std::string_view purpose,
                std::array<std::uint8_t, kSize>& out) {
  static_assert(kSize <= 32);
  std::array<std::uint8_t, 32> digest{};
  unsigned size = 0;
  CHECK(HMAC(EVP_sha256(),
             secret.data(),
             static_cast<int>(secret.size()),
             reinterpret_cast<const unsigned char*>(purpose.data()),
             purpose.size(),
             digest.data(),
             &size) != nullptr);
  std::copy_n(digest.begin(), kSize, out.begin());
  OPENSSL_cleanse(digest.data(), digest.size());
}

}  // namespace

TicketKeys::TicketKeys(const Secret& secret, Duration rotation, WallTime now)
    : rotation_(rotation), secret_(secret), period_(0) {
  CHECK(rotation >= std::chrono::seconds(1));
  period_ = PeriodOf(now);
  current_ = Derive();
}

TicketKeys::~TicketKeys() {
  OPENSSL_cleanse(secret_.data(), secret_.size());
  OPENSSL_cleanse(&current_, sizeof current_);
  if (previous_) OPENSSL_cleanse(&*previous_, sizeof *previous_);
}

std::int64_t TicketKeys::PeriodOf(WallTime now) const {
  return now.time_since_epoch() / rotation_;
}

TicketKeys::Key TicketKeys::Derive() const {
  Key key;
  DeriveInto(secret_, "name", key.name);
  DeriveInto(secret_, "cipher", key.cipher);
  DeriveInto(secret_, "mac", key.mac);
  return key;
}

void TicketKeys::Step() {
  Secret next{};
  DeriveInto(secret_, "next", next);
  secret_ = next;
  OPENSSL_cleanse(next.data(), next.size());
}

void TicketKeys::AdvanceTo(WallTime now) {
  const std::int64_t period = PeriodOf(now);
  const std::lock_guard lock(mutex_);
  if (period <= period_) return;
  const std::int64_t steps = std::min(period - period_, kStepsMax);
  previous_.reset();
  for (std::int64_t i = 0; i < steps; ++i) {
    if (i == steps - 1) previous_ = Derive();
    Step();
  }
  period_ = period;
  current_ = Derive();
}

TicketKeys::Key TicketKeys::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

std::optional<TicketKeys::Found> TicketKeys::Find(std::span<const std::uint8_t, 16> name) const {
  const auto is = [&](const Key& key) {
    return std::equal(name.begin(), name.end(), key.name.begin());
  };
  const std::lock_guard lock(mutex_);
  if (is(current_)) return Found{current_, Age::kCurrent};
  if (previous_ && is(*previous_)) return Found{*previous_, Age::kPrevious};
  return std::nullopt;
}

}  // namespace onebox::tls

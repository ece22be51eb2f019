#include "limits/gate.h"

#include <algorithm>

#include <fmt/format.h>

namespace onebox::limits {

using Kind = Verdict::Kind;

bool IsLimitName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
  });
}

std::string RefusalFields(const LimitRule& rule, Kind kind, Duration wait) {
  const auto seconds = [](Duration time) {
    return std::max<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(time).count(), 1);
  };
  if (kind == Kind::kAtOnce) {  // nobody knows when one of them ends
    return fmt::format(
        "Retry-After: 1\r\n"
        "RateLimit-Policy: \"{0}\";q={1};qu=\"concurrent-requests\"\r\n"
        "RateLimit: \"{0}\";r=0\r\n",
        rule.name,
        rule.rate.at_once);
  }
  return fmt::format(
      "Retry-After: {3}\r\n"
      "RateLimit-Policy: \"{0}\";q={1};w={2}\r\n"
      "RateLimit: \"{0}\";r=0;t={3}\r\n",
      rule.name,
      rule.rate.burst,
      seconds(rule.rate.interval * rule.rate.burst),
      seconds(wait));
}

void Passage::EndDelay() {
  for (Held& held : held_) {
    if (std::exchange(held.delayed, false)) held.limit->EndDelay();
  }
}

void Passage::Release() {
  EndDelay();
  for (const Held& held : held_) {
    if (held.running) held.limit->Leave(held.key);
  }
  held_.clear();
}

Gate::Gate(std::vector<LimitRule> rules, const SipKey& secret) : secret_(secret) {
  limits_.reserve(rules.size());
  for (LimitRule& rule : rules)
    limits_.push_back(std::make_unique<Limit>(std::move(rule)));
}

Gate::Decision Gate::Ask(std::span<const std::uint32_t> which,
                         const Asked& asked,
                         Time now,
                         Passage& passage) {
  Decision decision;
  for (const std::uint32_t number : which) {
    Limit& limit = *limits_[number];
    const auto& exempt = limit.rule.exempt;
    const auto is_in = [&](const http::Network& network) {
      return network.Contains(*asked.client);
    };
    if (asked.client && std::any_of(exempt.begin(), exempt.end(), is_in)) continue;
    const std::uint64_t key = KeyOf(limit.rule.by, asked, limit.rule.v6_bits, secret_);
    const Verdict verdict = limit.rate.Ask(key, now);
    limit.verdicts[static_cast<std::size_t>(verdict.kind)].fetch_add(1, std::memory_order_relaxed);
    decision.evicted = decision.evicted || verdict.evicted;
    const bool entered = verdict.kind == Kind::kPass || verdict.kind == Kind::kDelay;
    const bool delayed = verdict.kind == Kind::kDelay;
    const bool running = entered && limit.rate.counts_running();
    if (delayed || running) passage.held_.push_back({&limit.rate, key, delayed, running});
    if (verdict.kind == Kind::kPass) continue;
    if (limit.rule.log_only) {
      limit.logged.fetch_add(1, std::memory_order_relaxed);
      ++decision.logged;
      if (delayed) {
        limit.rate.EndDelay();
        passage.held_.back().delayed = false;
      }
      continue;
    }
    decision.wait = std::max(decision.wait, verdict.wait);
    decision.kind = verdict.kind;
    if (!delayed) {
      decision.wait = verdict.wait;
      decision.limit = number;
      passage.Release();
      return decision;
    }
  }
  return decision;
}

Gate::Counts Gate::counts(std::size_t limit) const {
  const Limit& asked = *limits_[limit];
  const auto of = [&asked](Kind kind) {
    return asked.verdicts[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
  };
  return {.passed = of(Kind::kPass),
          .delayed = of(Kind::kDelay),
          .refused_rate = of(Kind::kRate),
          .refused_at_once = of(Kind::kAtOnce),
          .logged = asked.logged.load(std::memory_order_relaxed)};
}

}  // namespace onebox::limits

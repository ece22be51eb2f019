#include "acme/keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "acme/renewal.h"
#include "base/units.h"
#include "telemetry/civil_time.h"

namespace onebox::acme {
namespace {

using nlohmann::json;
using std::chrono::seconds;

json TimeText(WallTime time) {
  if (time == WallTime{}) return nullptr;
  const std::tm fields = telemetry::UtcFields(telemetry::UnixSeconds(time));
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                     fields.tm_year + 1900,
                     fields.tm_mon + 1,
                     fields.tm_mday,
                     fields.tm_hour,
                     fields.tm_min,
                     fields.tm_sec);
}

// For people: two of a unit or more.
std::string Rounded(Duration duration) {
  using Days = std::chrono::duration<std::int64_t, std::ratio<86400>>;
  if (duration < std::chrono::minutes(2))
    return FormatDuration(std::chrono::ceil<seconds>(duration));
  if (duration < std::chrono::hours(2)) {
    return FormatDuration(std::chrono::ceil<std::chrono::minutes>(duration));
  }
  if (duration < std::chrono::hours(48)) {
    return FormatDuration(std::chrono::ceil<std::chrono::hours>(duration));
  }
  return FormatDuration(std::chrono::ceil<Days>(duration));
}

// What an authority says where it has looked at a name and did not find us (RFC 8555 section 6.7); and that it does not
// offer to look in this way.
bool IsOfChallenge(const std::string& kind) {
  constexpr std::string_view kKinds[] = {"connection",
                                         "dns",
                                         "incorrectResponse",
                                         "tls",
                                         "unauthorized",
                                         "challenge",
                                         "authorization",
                                         "timeout"};
  return std::find(std::begin(kKinds), std::end(kKinds), kind) != std::end(kKinds);
}

}  // namespace

json AsJson(const NameStatus& status) {
  json facts;
  if (status.facts) {
    facts = {{"issuer", status.facts->issuer},
             {"not_after", TimeText(status.facts->not_after)},
             {"placeholder", status.facts->placeholder}};
  }
  return {{"name", status.name},
          {"certificate", facts},
          {"next_attempt", TimeText(status.due)},
          {"attempts", status.state.attempts},
          {"attempted_at", TimeText(status.state.attempted_at)},
          {"failures", status.state.failures},
          {"error_kind", status.state.error_kind},
          {"error", status.state.error}};
}

Keeper::Keeper(const Settings& settings, const Outside& outside)
    : settings_(settings), outside_(outside), store_(settings.folder) {
  for (const std::string& name : settings.names) {
    names_.emplace_back().name = name;
  }
}

Status Keeper::Open() {
  TRY(store_.Prepare());
  for (NameStatus& one : names_) {
    TRY(OpenName(one));
  }
  return Done();
}

Status Keeper::OpenName(NameStatus& one) {
  one.state = store_.ReadState(one.name);
  auto kept = store_.ReadCertificate(one.name);
  if (!kept) {
    TRY(MakePlaceholderFor(one.name));
    kept = store_.ReadCertificate(one.name);
  }
  if (kept) one.facts = std::move(kept->facts);
  one.due = DueOf(one);
  outside_.changed(one);
  return Done();
}

Status Keeper::MakePlaceholderFor(const std::string& name) {
  const Key key = TRY(Key::New(KeyKind::kEcdsa));
  const std::string chain = TRY(MakePlaceholder(name, key, outside_.clock.WallNow()));
  return store_.SaveCertificate(name, chain, key);
}

WallTime Keeper::DueOf(const NameStatus& one) const {
  const NameState& state = one.state;
  if (state.failures > 0) return state.next_attempt;
  const bool fits = one.facts && !one.facts->placeholder && state.made_for == MadeFor(settings_);
  if (!fits) return {};
  const bool known =
      state.renew_at > one.facts->not_before && state.renew_at < one.facts->not_after;
  return known ? state.renew_at : RenewAt(*one.facts, one.facts->not_before, 0);
}

void Keeper::Run() {
  while (!outside_.transport.ended()) {
    const Duration wait = Turn();
    if (wait > Duration()) outside_.transport.Wait(wait);
  }
}

// By index, one after the other: Renew() may be called while one is asked for.
Duration Keeper::Turn() {
  WallTime next = WallTime::max();
  for (NameStatus& one : names_) {
    if (outside_.transport.ended()) return {};
    if (one.due <= outside_.clock.WallNow()) Attempt(one);
    next = std::min(next, one.due);
  }
  return std::clamp<Duration>(next - outside_.clock.WallNow(), Duration(), kLookAgain);
}

bool Keeper::Renew(const std::string& name) {
  const auto found = std::find_if(
      names_.begin(), names_.end(), [&](const NameStatus& one) { return one.name == name; });
  if (found == names_.end()) return false;
  // On the disk too: it is not lost with this process.
  found->state.renew_at = found->state.next_attempt = outside_.clock.WallNow();
  Save(*found);
  return true;
}

// --- one attempt

void Keeper::Attempt(NameStatus& one) {
  Client client(outside_.transport, outside_.clock, settings_);
  outside_.log.Info("asking {} for a certificate for {}", settings_.directory, one.name);
  auto issued = Obtain(one, client);
  if (!issued.ok() && outside_.transport.ended()) return;  // it has not failed
  one.state.attempts += 1;
  one.state.attempted_at = outside_.clock.WallNow();
  if (!issued.ok()) return NoteFailure(one, issued.error(), client.problem());
  if (const Status kept = Keep(one, issued.value()); !kept.ok()) {
    return NoteFailure(one, kept.error(), {"disk", {}});
  }
  NoteSuccess(one);
}

Result<Issued> Keeper::Obtain(const NameStatus& one, Client& client) {
  auto account = store_.AccountKey();
  if (!account.ok()) return client.Fail("account", account.error().message);
  TRY(OpenClient(client, account.value()));
  // After a refusal by another way, where there are several.
  const Challenge challenge =
      settings_.challenges[one.state.refusals % settings_.challenges.size()];
  Issuer issuer({client, outside_.transport, outside_.clock, settings_, store_});
  return issuer.Obtain(one.name, challenge);
}

// An account that was deactivated is of no use again: there is a new one, once. What binds it to another
// account is the operator's, and refused for reasons of its own.
Status Keeper::OpenClient(Client& client, Key& account) {
  Status opened = client.Open(account);
  const bool refused = !opened.ok() && client.problem().kind == "unauthorized" &&
                       settings_.external.kid.empty() && !account_set_aside_;
  if (!refused) {
    if (opened.ok() && client.account_is_new()) {
      const std::string agreed =
          client.terms().empty() ? "" : fmt::format(", which agrees to {}", client.terms());
      outside_.log.Info("a new account with the authority, {}{}", client.account_url(), agreed);
    }
    return opened;
  }
  outside_.log.Warning("the account is not accepted any more, and another takes its place: {}",
                       opened.error().message);
  account_set_aside_ = true;
  TRY(store_.SetAccountAside());
  account = TRY(store_.AccountKey());
  return client.Open(account);
}

Status Keeper::Keep(NameStatus& one, const Issued& issued) {
  TRY(store_.SaveCertificate(one.name, issued.chain, issued.key));
  store_.ForgetOrder(one.name);
  one.facts = issued.facts;
  return Done();
}

void Keeper::NoteSuccess(NameStatus& one) {
  one.state.made_for = MadeFor(settings_);
  one.state.failures = one.state.refusals = 0;
  one.state.next_attempt = {};
  one.state.error_kind.clear();
  one.state.error.clear();
  one.issued += 1;
  const WallTime now = outside_.clock.WallNow();
  one.state.renew_at = RenewAt(*one.facts, now, outside_.random());
  outside_.log.Info("{} has a certificate of {} for {}; the next one is asked for in {}",
                    one.name,
                    one.facts->issuer,
                    Rounded(one.facts->not_after - now),
                    Rounded(one.state.renew_at - now));
  Save(one);
}

void Keeper::NoteFailure(NameStatus& one, const Error& error, const Problem& problem) {
  NameState& state = one.state;
  state.failures += 1;
  if (IsOfChallenge(problem.kind)) state.refusals += 1;
  state.error_kind = problem.kind;
  state.error = error.message;
  one.failed[problem.kind] += 1;
  const WallTime now = outside_.clock.WallNow();
  const Duration pause = PauseAfter(state.failures, problem.retry_after, outside_.random());
  state.next_attempt = now + pause;
  const bool serves = one.facts && !one.facts->placeholder;
  outside_.log.Error(
      "no certificate for {} ({} in a row): {}; tried again in {}{}",
      one.name,
      state.failures == 1 ? "the first failure" : fmt::format("{} failures", state.failures),
      error.message,
      Rounded(pause),
      serves ? fmt::format("; the one before serves on, for {}",
                           Rounded(std::max<Duration>(one.facts->not_after - now, Duration())))
             : "");
  Save(one);
}

void Keeper::Save(NameStatus& one) {
  one.due = DueOf(one);
  if (const Status saved = store_.SaveState(one.name, one.state); !saved.ok()) {
    outside_.log.Error("it is forgotten at the next start: {}", saved.error().message);
  }
  outside_.changed(one);
}

}  // namespace onebox::acme

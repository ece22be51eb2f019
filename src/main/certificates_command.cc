#include "main/certificates_command.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "main/command_line.h"
#include "main/report.h"
#include "main/status_command.h"
#include "os/clock.h"
#include "os/poll.h"
#include "supervise/status.h"

namespace onebox::main {
namespace {

using nlohmann::json;

constexpr std::string_view kUsage =
    R"help(onebox certificates [--state DIR] [--json]: the certificates that a running box obtains ([tls] auto), and how it goes.

  onebox certificates renew NAME    ask for another one now; returns when it is there, or was refused

  --state DIR                       of the box; else that of the current folder's app, or the only one
  --json                            as JSON
)help";

constexpr Duration kRenewTimeout =
    std::chrono::minutes(12);  // of an authority that is slow at each step
constexpr Duration kRenewPause = std::chrono::milliseconds(100);

Result<json> AskForCertificates(const std::string& state) {
  const std::string status = TRY(supervise::AskStatus(state));
  return At(json::parse(status, nullptr, /*allow_exceptions=*/false), "certificates");
}

// "2027-02-26T10:00:00Z", or another word where there is no time.
std::string TimeOr(const json& time, std::string_view otherwise) {
  return time.is_string() ? ShowText(time) : std::string(otherwise);
}

std::string Describe(const json& certificates) {
  Table table(
      {{"name"}, {"certificate"}, {"until"}, {"next attempt"}, {"failures", Align::kRight}});
  std::string errors;
  for (const json& one : certificates) {
    const json& its = At(one, "certificate");
    const bool trusted = its.is_object() && !IsTrue(At(its, "placeholder"));
    table.Add({ShowText(At(one, "name")),
               trusted ? ShowText(At(its, "issuer")) : "none yet: a placeholder",
               trusted ? TimeOr(At(its, "not_after"), "-") : "-",
               TimeOr(At(one, "next_attempt"), "now"),
               std::to_string(Number(At(one, "failures")))});
    if (Text(At(one, "error")).empty()) continue;
    errors += fmt::format("\n{} at {}: {}\n",
                          ShowText(At(one, "name")),
                          TimeOr(At(one, "attempted_at"), "-"),
                          ShowText(At(one, "error")));
  }
  if (table.empty()) return "it obtains no certificates: [tls] auto names hosts\n";
  return table.text() + errors;
}

Result<std::string> ShowAll(const std::string& state, const CertificatesLine& line) {
  const json certificates = TRY(AskForCertificates(state));
  return line.json ? Dump(certificates) : Describe(certificates);
}

Result<json> Find(const std::string& state, const std::string& name) {
  const json certificates = TRY(AskForCertificates(state));
  const auto found = std::find_if(certificates.begin(), certificates.end(), [&](const json& one) {
    return Text(At(one, "name")) == name;
  });
  if (found != certificates.end()) return *found;
  return OperatorError(fmt::format(
      "it obtains no certificate for {}; onebox certificates lists those that it does", name));
}

Result<std::string> Renew(const std::string& state, const CertificatesLine& line) {
  const std::string& name = line.words[1];
  const std::uint64_t before = Number(At(TRY(Find(state, name)), "attempts"));
  TRY(supervise::AskRenew(state, name));
  const os::SystemClock clock;
  const Time give_up_at = clock.Now() + kRenewTimeout;
  while (clock.Now() < give_up_at) {
    const json one = TRY(Find(state, name));
    if (Number(At(one, "attempts")) == before) {
      (void)os::WaitReadable({}, kRenewPause);
      continue;
    }
    const std::string error = Text(At(one, "error"));
    if (!error.empty()) return OperatorError(error);
    return line.json ? Dump(one) : Describe(json::array({one}));
  }
  return OperatorError("it still tries; onebox certificates shows how it goes");
}

}  // namespace

int ShowCertificates(std::span<const std::string> words, const Caller& caller) {
  CertificatesLine line = ReadCertificatesLine(words, caller.folder);
  const bool renews = line.words.size() == 2 && line.words.front() == "renew";
  if (!line.words.empty() && !renews && line.mistakes.empty()) {
    line.mistakes.push_back(fmt::format("expected renew NAME, got {}", fmt::join(line.words, " ")));
  }
  return AnswerLine(line, kUsage, caller, [&](const std::string& state) {
    return renews ? Renew(state, line) : ShowAll(state, line);
  });
}

}  // namespace onebox::main

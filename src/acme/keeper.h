#pragma once
// Keeper: sees to it that each name has a certificate, and gets the next one in time.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "acme/issuer.h"
#include "acme/settings.h"
#include "acme/store.h"
#include "acme/transport.h"
#include "base/clock.h"
#include "base/result.h"
#include "telemetry/log.h"

namespace onebox::acme {

// One name as others see it.
struct NameStatus {
  std::string name;
  NameState state;
  std::optional<Facts> facts;  // of the certificate that is served; nothing: there is none
  WallTime due{};              // when the next one is asked for
  std::uint64_t issued = 0;    // by this process
  std::map<std::string, std::uint64_t> failed;  // attempts of this process, by what was wrong
};

// As the supervisor and `onebox certificates` have it: times like "2026-11-28T00:00:00Z", or null.
nlohmann::json AsJson(const NameStatus& status);

class Keeper {
 public:
  struct Outside {
    Transport& transport;
    const Clock& clock;
    telemetry::Log& log;
    std::function<std::uint64_t()> random;
    std::function<void(const NameStatus&)>
        changed;  // called for each name at first, and as it changes
  };
  Keeper(const Settings& settings, const Outside& outside);

  // Makes the folders, and a placeholder for each name that has nothing. REQUIRES: the lock is held.
  Status Open();

  // Asks for what is due until the transport has ended.
  void Run();
  // Asks for what is due now; the time until there is more, at most kLookAgain.
  Duration Turn();

  // The operator's wish: a certificate for that name at once, whatever it has. False: it is none of ours.
  // It may be said while another is asked for.
  bool Renew(const std::string& name);

  const std::vector<NameStatus>& names() const { return names_; }

 private:
  Status OpenName(NameStatus& one);
  Status MakePlaceholderFor(const std::string& name);
  WallTime DueOf(const NameStatus& one) const;
  void Attempt(NameStatus& one);
  Result<Issued> Obtain(const NameStatus& one, Client& client);
  Status OpenClient(Client& client, Key& account);
  Status Keep(NameStatus& one, const Issued& issued);
  void NoteSuccess(NameStatus& one);
  void NoteFailure(NameStatus& one, const Error& error, const Problem& problem);
  void Save(NameStatus& one);

  const Settings& settings_;
  const Outside outside_;
  const Store store_;
  std::vector<NameStatus> names_;
  bool account_set_aside_ = false;
};

// The clock may be set, and a machine may sleep: so long is waited at once.
inline constexpr Duration kLookAgain = std::chrono::minutes(10);

}  // namespace onebox::acme

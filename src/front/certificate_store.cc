#include "front/certificate_store.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/ascii.h"
#include "os/file.h"
#include "telemetry/civil_time.h"
#include "telemetry/escape.h"

namespace onebox::front {
namespace {

constexpr std::size_t kTokenBytesMax = 4096;
constexpr std::size_t kAcmeMax = 1000;  // certificates
constexpr std::array kWarningDays = {21, 7, 1, 0};

bool IsNameCharacter(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_';
}

std::int64_t DaysLeft(const tls::Certificate& certificate, WallTime now) {
  return std::chrono::duration_cast<std::chrono::hours>(certificate.not_after() - now).count() / 24;
}

std::string NamesOf(const tls::Certificate& certificate) {
  return certificate.names().empty() ? certificate.subject()
                                     : fmt::format("{}", fmt::join(certificate.names(), ", "));
}

// Of the days, the last that has come; one more than the first where none has.
int WarningOf(const tls::Certificate& certificate, WallTime now) {
  int warned = kWarningDays.front() + 1;
  for (const int days : kWarningDays) {
    if (certificate.not_after() - now <= std::chrono::hours(24 * days)) warned = days;
  }
  return warned;
}

}  // namespace

Status ReadCertificateFiles(CertificateFiles& files) {
  files.chain_pem = TRY(os::ReadFile(files.chain_path, kCertificateBytesMax));
  files.key_pem = TRY(os::ReadFile(files.key_path, kCertificateBytesMax));
  if (!files.staple_path.empty()) {
    files.staple_der = TRY(os::ReadFile(files.staple_path, kCertificateBytesMax));
  }
  return Done();
}

CertificateStore::CertificateStore(const TlsSettings& settings, telemetry::Log& log)
    : settings_(settings), log_(log) {
  for (const CertificateFiles& files : settings.certificates) {
    auto& entry = *configured_.emplace_back(std::make_unique<Entry>());
    entry.files = files;
    entry.seen = FactsOf(files);
  }
}

CertificateStore::Facts CertificateStore::FactsOf(const CertificateFiles& files) {
  return {os::FactsAt(files.chain_path),
          os::FactsAt(files.key_path),
          files.staple_path.empty() ? std::nullopt : os::FactsAt(files.staple_path)};
}

// A staple that is of no use is left out: the certificate is good without it.
CertificateStore::Made CertificateStore::Make(const CertificateFiles& files, WallTime now) {
  auto certificate = TRY(tls::Certificate::Parse(files.chain_pem, files.key_pem));
  for (const std::string& warning : certificate->Warnings(now)) {
    log_.Warning("certificate {}: {}", files.chain_path, warning);
  }
  if (files.staple_path.empty()) return certificate;
  auto staple = tls::ParseStaple(files.staple_der, certificate->leaf(), certificate->chain(), now);
  if (staple.ok()) return certificate->With(std::move(staple).value());
  log_.Warning("OCSP response {} is not sent: {}", files.staple_path, staple.error().message);
  return certificate;
}

Status CertificateStore::Load(WallTime now) {
  for (const auto& entry : configured_) {
    entry->certificate = TRY(Make(entry->files, now));
    entry->warned_days = kWarningDays.front() + 1;
    const Facts facts = FactsOf(entry->files);
    if (facts[0] && facts[1]) continue;
    log_.Warning(
        "a change of certificate {} is taken by a reload alone: the front cannot see its files",
        entry->files.chain_path);
  }
  FindAcme();
  for (const auto& [folder, entry] : acme_) {
    entry->seen = FactsOf(entry->files);
    Reread(*entry, now);
  }
  TRY(Rebuild(now));
  WarnOfEnds(now);
  return Done();
}

// Whether there is another certificate now.
bool CertificateStore::Reread(Entry& entry, WallTime now) {
  const Facts facts = FactsOf(entry.files);
  const bool still = std::exchange(entry.seen, facts) == facts;
  if (!still || facts == entry.taken || !facts[0] || !facts[1]) return false;
  entry.taken = facts;
  CertificateFiles files = entry.files;
  const Status read = ReadCertificateFiles(files);
  if (!read.ok() && entry.certificate != nullptr) {
    log_.Warning("a change of certificate {} is taken by a reload alone: {}",
                 files.chain_path,
                 read.error().message);
    return false;
  }
  const bool same = files.chain_pem == entry.files.chain_pem &&
                    files.key_pem == entry.files.key_pem &&
                    files.staple_der == entry.files.staple_der;
  if (read.ok() && same && entry.certificate != nullptr) return false;
  auto made = read.ok() ? Make(files, now) : Made(read.error());
  if (!made.ok()) {
    log_.Error("certificate {} with key {} has changed and is not used: {}{}",
               files.chain_path,
               files.key_path,
               made.error().message,
               entry.certificate == nullptr ? "" : "; the one before serves on");
    return false;
  }
  entry.files = std::move(files);
  entry.certificate = std::move(made).value();
  entry.warned_days = kWarningDays.front() + 1;
  log_.Info("certificate {} for {} is used from now on, valid until {:%Y-%m-%d}",
            entry.files.chain_path,
            NamesOf(*entry.certificate),
            telemetry::UtcFields(telemetry::UnixSeconds(entry.certificate->not_after())));
  return true;
}

// Whether there are more or fewer than before.
bool CertificateStore::FindAcme() {
  namespace fs = std::filesystem;
  std::error_code failed;
  std::map<std::string, std::unique_ptr<Entry>> found;
  bool changed = false;
  fs::directory_iterator folders(settings_.acme_folder + "/certificates", failed);
  for (; !failed && folders != fs::directory_iterator() && found.size() < kAcmeMax;
       folders.increment(failed)) {
    const std::string folder = folders->path().string();
    if (const auto known = acme_.find(folder); known != acme_.end()) {
      found[folder] = std::move(known->second);
      continue;
    }
    auto entry = std::make_unique<Entry>();
    entry->files = {.chain_path = folder + "/fullchain.pem", .key_path = folder + "/key.pem"};
    found[folder] = std::move(entry);
  }
  for (const auto& [folder, entry] : acme_)
    changed |= entry != nullptr;  // it has gone
  acme_ = std::move(found);
  return changed;
}

void CertificateStore::Refresh(WallTime now) {
  if (settings_.tickets != nullptr) settings_.tickets->AdvanceTo(now);
  bool changed = FindAcme();
  for (const auto& entry : configured_)
    changed |= Reread(*entry, now);
  for (const auto& [folder, entry] : acme_)
    changed |= Reread(*entry, now);
  if (changed) {
    const Status rebuilt = Rebuild(now);
    if (!rebuilt.ok())
      log_.Error("the certificates of before serve on: {}", rebuilt.error().message);
  }
  WarnOfEnds(now);
}

Status CertificateStore::Rebuild(WallTime now) {
  std::vector<std::shared_ptr<const tls::Certificate>> certificates;
  std::string exposition;
  const auto add = [&](const Entry& entry) {
    if (entry.certificate == nullptr) return;
    certificates.push_back(entry.certificate);
    exposition += "onebox_certificate_not_after_seconds{file=\"";
    telemetry::AppendJson(exposition, entry.files.chain_path);
    exposition += "\",names=\"";
    telemetry::AppendJson(exposition, NamesOf(*entry.certificate));
    exposition += fmt::format("\"}} {}\n", telemetry::UnixSeconds(entry.certificate->not_after()));
  };
  for (const auto& entry : configured_)
    add(*entry);
  for (const auto& [folder, entry] : acme_)
    add(*entry);
  if (certificates.empty()) {
    // Until the first is obtained: an authority asks by the handshake itself.
    if (placeholder_ == nullptr) placeholder_ = TRY(tls::MakeSelfSigned("onebox", now));
    certificates.push_back(placeholder_);
  }
  auto context = TRY(tls::ServerContext::Make(
      {.version_min = settings_.version_min,
       .protocols = settings_.protocols,
       .client_certificates = settings_.client_certificates,
       .client_ca_pem = settings_.client_ca_pem,
       .tickets = settings_.tickets,
       .challenge = [folder = settings_.acme_folder](
                        const std::string& name) { return ReadChallenge(folder, name); }},
      certificates));
  const std::lock_guard lock(mutex_);
  current_ = std::move(context);
  exposition_ = std::move(exposition);
  return Done();
}

// Each warning once.
void CertificateStore::WarnOfEnds(WallTime now) {
  const auto warn = [&](Entry& entry) {
    if (entry.certificate == nullptr) return;
    const int days = WarningOf(*entry.certificate, now);
    if (days >= entry.warned_days) return;
    entry.warned_days = days;
    const std::string names = NamesOf(*entry.certificate);
    if (days == 0) {
      log_.Error("the certificate for {} is out of date ({})", names, entry.files.chain_path);
    } else {
      log_.Warning("the certificate for {} is valid for {} more days ({})",
                   names,
                   DaysLeft(*entry.certificate, now),
                   entry.files.chain_path);
    }
  };
  for (const auto& entry : configured_)
    warn(*entry);
  for (const auto& [folder, entry] : acme_)
    warn(*entry);
}

std::shared_ptr<const tls::ServerContext> CertificateStore::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

std::string CertificateStore::Exposition() const {
  const std::lock_guard lock(mutex_);
  if (exposition_.empty()) return {};
  return "# HELP onebox_certificate_not_after_seconds Until when a certificate is valid, in Unix "
         "seconds.\n# TYPE onebox_certificate_not_after_seconds gauge\n" +
         exposition_;
}

std::shared_ptr<const tls::Certificate> ReadChallenge(const std::string& acme_folder,
                                                      const std::string& name) {
  const bool is_name = !name.empty() && name.size() <= 253 && name.front() != '.' &&
                       std::all_of(name.begin(), name.end(), IsNameCharacter);
  if (!is_name) return nullptr;
  const auto pem =
      os::ReadFile(fmt::format("{}/alpn/{}.pem", acme_folder, name), kCertificateBytesMax);
  if (!pem.ok()) return nullptr;
  auto made = tls::Certificate::Parse(pem.value(), pem.value());
  return made.ok() ? std::move(made).value() : nullptr;
}

std::optional<std::string> ReadToken(const std::string& acme_folder, std::string_view token) {
  const bool is_token =
      !token.empty() && token.size() <= 128 && std::all_of(token.begin(), token.end(), [](char c) {
        return IsDigit(c) || IsAlpha(c) || c == '-' || c == '_';
      });
  if (!is_token || acme_folder.empty()) return std::nullopt;
  auto text = os::ReadFile(fmt::format("{}/http/{}", acme_folder, token), kTokenBytesMax);
  if (!text.ok()) return std::nullopt;
  return std::move(text).value();
}

}  // namespace onebox::front

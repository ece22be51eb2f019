#include "supervise/app_watch.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>

#include <fmt/format.h>

#include "os/file.h"
#include "os/folder.h"

namespace onebox::supervise {
namespace {

using std::chrono::seconds;

// How long a folder that was renamed or removed may be back unseen.
constexpr Duration kLookPause = seconds(1);

constexpr std::array<std::string_view, 21> kEndings = {
    ".py",  ".so",   ".html", ".htm",  ".jinja", ".jinja2", ".j2",  ".tmpl", ".tpl", ".mako", ".pt",
    ".xml", ".toml", ".json", ".yaml", ".yml",   ".ini",    ".cfg", ".conf", ".env", ".mo"};
constexpr std::array<std::string_view, 2> kHiddenNames = {".env", ".flaskenv"};  // and .env.local
constexpr std::array<std::string_view, 2> kFoldersOfOthers = {"__pycache__", "node_modules"};

std::string_view NameIn(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);
  }
  return path.substr(path.rfind('/') + 1);
}

std::string FolderOf(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

// Without links, so that it compares with what the watch says; as it is where it is not there.
std::string Real(const std::string& path) {
  const auto real = os::RealPath(path);
  return real.ok() ? real.value() : path;
}

}  // namespace

bool MattersToApp(std::string_view path) {
  if (path.ends_with('/')) return true;  // a folder was renamed
  const std::string_view name = NameIn(path);
  if (name.starts_with('.')) {
    return name.starts_with(".env.") ||
           std::find(kHiddenNames.begin(), kHiddenNames.end(), name) != kHiddenNames.end();
  }
  return std::any_of(kEndings.begin(), kEndings.end(), [name](std::string_view ending) {
    return name.size() > ending.size() && name.ends_with(ending);
  });
}

bool MayHoldApp(std::string_view path) {
  const std::string_view name = NameIn(path);
  return !name.starts_with('.') &&
         std::find(kFoldersOfOthers.begin(), kFoldersOfOthers.end(), name) ==
             kFoldersOfOthers.end();
}

// --- Changed

void Changed::Add(const std::string& path, Time now) {
  if (paths_.empty()) {
    first_ = path;
    since_ = now;
  }
  last_ = now;
  if (paths_.size() < kPathsMax) paths_.insert(path);
}

Time Changed::due() const {
  return paths_.empty() ? Time::max() : std::min(last_ + kQuiet, since_ + kWaitMax);
}

std::string Changed::Take() {
  const std::size_t others = paths_.size() - 1;
  paths_.clear();
  if (others == 0) return fmt::format("{} has changed", first_);
  return fmt::format("{} and {} other{} have changed", first_, others, others == 1 ? "" : "s");
}

// --- AppWatch

void AppWatch::Follow(const WatchSettings& settings) {
  WatchSettings real = settings;
  real.folder = Real(settings.folder);
  std::transform(real.ignored.begin(), real.ignored.end(), real.ignored.begin(), Real);
  for (std::string& file : real.files) {  // the file itself may be a link, and may come later
    file = fmt::format("{}/{}", Real(FolderOf(file)), NameIn(file));
  }
  if (real == settings_) return;
  settings_ = std::move(real);
  Begin();
}

void AppWatch::Close() {
  if (watch_) watch_->Close();
}

void AppWatch::Begin() {
  watch_.reset();
  look_at_ = Time::max();
  missing_ = false;
  if (!settings_.on) return;
  auto opened = os::FileWatch::Open([this](const std::string& folder) { return Enters(folder); });
  if (!opened.ok()) {
    log_.Error("watch: no change is seen: {}", opened.error().message);
    return;
  }
  watch_ = std::move(opened).value();
  std::set<std::string> folders;
  std::transform(settings_.files.begin(),
                 settings_.files.end(),
                 std::inserter(folders, folders.end()),
                 FolderOf);
  for (const std::string& folder : folders) {
    const Status added = watch_->Add(folder, os::FileWatch::Depth::kFolder);
    if (!added.ok()) log_.Warning("watch: {}", added.error().message);
  }
  AddAppFolder();  // it may take all the watches that there are
  look_at_ = clock_.Now() + kLookPause;
}

void AppWatch::AddAppFolder() {
  const Status added = watch_->Add(settings_.folder, os::FileWatch::Depth::kTree);
  const bool held = watch_->Holds(settings_.folder);
  if (!added.ok() && !missing_) {
    log_.Warning("watch: {}{}", added.error().message, held ? "" : "; it is waited for");
  }
  missing_ = !held;
}

bool AppWatch::Enters(const std::string& folder) const {
  const auto& ignored = settings_.ignored;
  return MayHoldApp(folder) && std::find(ignored.begin(), ignored.end(), folder) == ignored.end() &&
         !os::FactsAt(folder + "/pyvenv.cfg");  // a virtual environment
}

// As it is told: from the app's folder on.
std::string AppWatch::Shown(const std::string& path) const {
  const std::string prefix = settings_.folder + (settings_.folder.ends_with('/') ? "" : "/");
  return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}

bool AppWatch::Matters(const std::string& path) const {
  const auto& files = settings_.files;
  if (std::find(files.begin(), files.end(), path) != files.end()) return true;
  return Shown(path) != path && MattersToApp(path);
}

void AppWatch::Read() {
  if (!watch_) return;
  const os::FileWatch::Changes changes = watch_->Take();
  for (const std::string& path : changes.paths) {
    if (Matters(path)) changed_.Add(Shown(path), clock_.Now());
  }
  if (!changes.watched_all.ok()) log_.Warning("watch: {}", changes.watched_all.error().message);
  if (!changes.lost) return;
  log_.Warning("watch: more has changed at once than the kernel keeps; {} is looked at anew",
               settings_.folder);
  changed_.Add(settings_.folder, clock_.Now());
  Begin();
}

Time AppWatch::next() const {
  return watch_ ? std::min(changed_.due(), look_at_) : Time::max();
}

std::optional<std::string> AppWatch::TakeDue() {
  if (clock_.Now() >= look_at_) LookForMissing();
  if (!watch_ || clock_.Now() < changed_.due()) return std::nullopt;
  return changed_.Take();
}

// It may be renamed as a whole and another take its place, of which the kernel tells nothing.
void AppWatch::LookForMissing() {
  look_at_ = clock_.Now() + kLookPause;
  if (watch_->Holds(settings_.folder)) return;
  AddAppFolder();
  if (!missing_) changed_.Add(settings_.folder, clock_.Now());
}

}  // namespace onebox::supervise

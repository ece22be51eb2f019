#include "front/static_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "compress/compressor.h"
#include "front/partial_answer.h"
#include "front/static_names.h"
#include "http/media_type.h"
#include "http/negotiate.h"
#include "http/preconditions.h"
#include "http/response_head.h"
#include "os/file.h"

namespace onebox::front {
namespace {

using http::Coding;
using http::KnownField;

// From this size on sending from the file costs less than copying from memory: the page cache holds
// it anyway.
constexpr std::uint64_t kSendFileBytesMin = 32 << 10;

constexpr std::string_view kTriedPath = "$path";

constexpr std::array kBestFirst = {Coding::kBrotli, Coding::kZstd, Coding::kGzip};

StaticAnswer Refusal(int status, std::string_view fields = {}) {
  return {.status = status, .fields = fields};
}

bool IsGetOrHead(const http::RequestHead& head) {
  return head.method == http::Method::kGet || head.method == http::Method::kHead;
}

bool IsConditionalOrPartial(const http::RequestHead& head) {
  return head.Has(KnownField::kIfNoneMatch) || head.Has(KnownField::kIfModifiedSince) ||
         head.Has(KnownField::kRange) || head.Has(KnownField::kIfMatch) ||
         head.Has(KnownField::kIfUnmodifiedSince);
}

// What keeps a file from being served, as far as the client can know: it is not there.
bool MeansAbsent(int system_error) {
  switch (system_error) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case ELOOP:
    case EXDEV:  // a link that leads out
    case ENAMETOOLONG:
    case ENXIO:  // a socket
    case ENODEV:
    case 0:  // not a regular file
      return true;
    default:
      return false;
  }
}

Error Absent() {
  return {Blame::kClient, Retry::kNever, ENOENT, "no such file"};
}

std::string DiskPath(const StaticMount& mount, std::string_view name) {
  std::string path = mount.folder;
  if (!path.ends_with('/')) path += '/';
  return path += name;
}

std::string DiskPath(const StaticFile& file) {
  return DiskPath(*file.mount, file.name);
}

bool IsFolderWithIndex(const StaticMount& mount, std::string_view name) {
  if (mount.index.empty() || !IsServableName(name)) return false;
  const auto facts = os::FactsAt(DiskPath(mount, name));
  return facts && facts->folder;
}

compress::Levels LevelsOf(const CompressionSettings& settings) {
  return {
      .gzip = settings.gzip_level, .brotli = settings.brotli_level, .zstd = settings.zstd_level};
}

std::string CacheControlFor(const StaticFile& file) {
  const StaticMount& mount = *file.mount;
  const std::string_view name = std::string_view(file.name).substr(file.name.rfind('/') + 1);
  if (mount.immutable && CarriesContentHash(name)) {
    return fmt::format("public, max-age={}, immutable", mount.immutable_max_age.count());
  }
  return fmt::format("public, max-age={}", mount.max_age.count());
}

// Size and time of the change are what tells one state of a file from the next.
std::string EtagFor(const os::FileFacts& facts) {
  return fmt::format("{:x}-{:x}", facts.modified_ns, facts.size);
}

// What is sent of `file` in that coding; `facts` are those of the file that is read for it. The date
// is always the file's own: its neighbours say the same in other words.
Description Describe(const StaticFile& file, Coding coding, const os::FileFacts& facts) {
  constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
  Description description{.media_type = http::MediaTypeOf(file.name),
                          .coding = coding,
                          .etag = EtagFor(facts),
                          .last_modified = file.facts.modified_ns / kNanosecondsPerSecond,
                          .cache_control = CacheControlFor(file),
                          .varies = !file.available.empty()};
  if (coding != Coding::kIdentity) description.etag.append("-").append(NameOf(coding));
  return description;
}

StaticAnswer Whole(const http::RequestHead& head, const SharedRepresentation& sent) {
  StaticAnswer answer{.status = 200, .fields = sent->full_fields(), .owner = sent};
  if (head.method != http::Method::kHead)
    answer.body.Append(Representation::PieceOf(sent, sent->bytes()));
  return answer;
}

StaticAnswer NotModified(const SharedRepresentation& sent) {
  return {.status = 304, .fields = sent->unchanged_fields(), .owner = sent};
}

// Where the names in a folder's page are those of what is in it.
StaticAnswer ToFolder(std::string_view path, std::string_view query) {
  const LocationTemplate location = LocationTemplate::Parse("$path/$query").value();
  auto fields = std::make_shared<std::string>();
  http::AppendField(
      *fields, "Location", location.For({.host = {}, .path = path, .rest = {}, .query = query}));
  return {.status = 308, .fields = *fields, .owner = fields};
}

StaticAnswer Partial(const http::RequestHead& head, const SharedRepresentation& sent) {
  PartialAnswer part =
      PartialOf(head.Value(KnownField::kRange),
                {.fields = sent->partial_fields(),
                 .media_type = sent->description().media_type,
                 .bytes = sent->bytes()},
                [&](std::string_view bytes) { return Representation::PieceOf(sent, bytes); });
  if (part.status == 200) return Whole(head, sent);
  const std::string_view fields = *part.fields;
  return {.status = part.status,
          .fields = fields,
          .owner = std::move(part.fields),
          .body = std::move(part.body)};
}

StaticAnswer Conditional(const http::RequestHead& head,
                         const SharedRepresentation& sent,
                         WallTime now) {
  const http::Validators validators{
      .etag = sent->etag(),
      .last_modified = sent->description().last_modified,
      .now = std::chrono::floor<seconds>(now.time_since_epoch()).count()};
  switch (http::EvaluatePreconditions(head, validators)) {
    case http::Verdict::kNotModified:
      return NotModified(sent);
    case http::Verdict::kPreconditionFailed:
      return Refusal(412);
    case http::Verdict::kProceed:
      break;
  }
  if (http::RangeApplies(head, validators)) return Partial(head, sent);
  return Whole(head, sent);
}

}  // namespace

StaticFiles::StaticFiles(const CompressionSettings& compression,
                         const StaticLimits& limits,
                         const Clock& clock)
    : compression_(compression),
      limits_(limits),
      clock_(clock),
      cache_({.bytes = limits.memory_max, .mappings = limits.mappings_max}) {}

StaticAnswer StaticFiles::Answer(const http::RequestHead& head,
                                 const http::NormalPath& path,
                                 const StaticMount& mount,
                                 std::string_view name) {
  if (!IsGetOrHead(head)) return Refusal(405, "Allow: GET, HEAD\r\n");
  if (path.encoded_slash || path.backslash) return Refusal(404);
  const auto found = FindFirst(mount, name);
  if (!found.ok()) {
    if (!MeansAbsent(found.error().system_error)) return Refusal(503);
    return IsFolderWithIndex(mount, name) ? ToFolder(path.path, head.query) : Refusal(404);
  }
  return Send(head, found.value());
}

StaticAnswer StaticFiles::AnswerForApp(const http::RequestHead& head,
                                       const StaticMount& mount,
                                       std::string_view name) {
  const auto found = Find(mount, name);
  if (!found.ok()) return Refusal(MeansAbsent(found.error().system_error) ? 404 : 503);
  return Send(head, found.value());
}

StaticAnswer StaticFiles::Send(const http::RequestHead& head, const Found& found) {
  // Not a reference into the entry, which Trim() may take away.
  const SharedRepresentation sent = Choose(head, *found.file);
  cache_.Trim();
  const bool conditional = IsGetOrHead(head) && IsConditionalOrPartial(head);
  StaticAnswer answer = conditional ? Conditional(head, sent, clock_.WallNow()) : Whole(head, sent);
  answer.cache = found.cache;
  return answer;
}

// The first of what the mount tries for the name.
Result<StaticFiles::Found> StaticFiles::FindFirst(const StaticMount& mount, std::string_view name) {
  if (mount.try_files.empty()) return FindNamed(mount, name);
  for (const std::string& tried : mount.try_files) {
    // Neither has a "/" before it here: names are relative.
    const std::size_t path = tried.find(kTriedPath);
    std::string as_tried = tried.substr(0, path);
    if (path != tried.npos) {
      as_tried += '/';
      as_tried += name;
      as_tried += tried.substr(path + kTriedPath.size());
    }
    auto found = FindNamed(mount, std::string_view(as_tried).substr(1));
    if (found.ok() || !MeansAbsent(found.error().system_error)) return found;
  }
  return Absent();
}

// Of a folder, which ends with "/" or is the mount's own, its index.
Result<StaticFiles::Found> StaticFiles::FindNamed(const StaticMount& mount, std::string_view name) {
  if (mount.index.empty() || !(name.empty() || name.ends_with('/'))) return Find(mount, name);
  for (const std::string& index : mount.index) {
    name_.assign(name).append(index);
    auto found = Find(mount, name_);
    if (found.ok() || !MeansAbsent(found.error().system_error)) return found;
  }
  return Absent();
}

Result<StaticFiles::Found> StaticFiles::Find(const StaticMount& mount, std::string_view name) {
  std::array<char, sizeof mount.number> number{};
  std::memcpy(number.data(), &mount.number, number.size());
  key_.assign(number.data(), number.size()).append(name);
  if (StaticFile* const file = FindChecked(key_)) {
    return Found{.file = file, .cache = StaticAnswer::Cache::kHit};
  }
  return Found{.file = TRY(Load(mount, name))};
}

// The entry of the cache, if the disk still says what it says.
StaticFile* StaticFiles::FindChecked(std::string_view key) {
  StaticFile* file = cache_.Find(key);
  if (file == nullptr) return nullptr;
  const Time now = clock_.Now();
  if (now - file->checked < kCheckEvery) return file;
  const auto seen = LookAt(DiskPath(*file));
  if (!seen || seen->facts != file->facts || seen->neighbours != file->neighbours) {
    cache_.Erase(key);
    return nullptr;
  }
  file->checked = now;
  return file;
}

Result<StaticFile*> StaticFiles::Load(const StaticMount& mount, std::string_view name) {
  auto file = std::make_unique<StaticFile>();
  file->mount = &mount;
  file->key = key_;
  file->name = name;
  file->checked = clock_.Now();
  if (!IsServableName(file->name)) return Absent();
  const auto seen = LookAt(DiskPath(*file));
  if (!seen) return Absent();
  file->facts = seen->facts;
  file->neighbours = seen->neighbours;
  file->available = AvailableFor(*file);
  file->made[0] = TRY(Read(*file, Coding::kIdentity));
  return &cache_.Add(std::move(file));
}

// Neighbours first: they were made with more effort than is spent here.
std::vector<Coding> StaticFiles::AvailableFor(const StaticFile& file) const {
  std::vector<Coding> available;
  for (const Coding coding : kBestFirst) {
    if (file.NeighbourOf(coding)) available.push_back(coding);
  }
  const bool worth_it = compression_.enabled && file.facts.size >= compression_.bytes_min &&
                        file.facts.size <= limits_.file_memory_max &&
                        http::IsCompressible(http::MediaTypeOf(file.name), compression_.types);
  if (!worth_it) return available;
  for (const Coding coding : compression_.codings) {
    if (!file.NeighbourOf(coding)) available.push_back(coding);
  }
  return available;
}

// The file itself or its neighbour. The facts are taken before the bytes: if the file changes
// meanwhile, the next look sees other facts.
Result<SharedRepresentation> StaticFiles::Read(const StaticFile& file, Coding coding) const {
  const os::Folder folder = TRY(os::Folder::Open(file.mount->folder));
  const os::Links links = file.mount->follow_links ? os::Links::kAnywhere : os::Links::kInside;
  os::Fd opened = TRY(folder.OpenFile(file.name + std::string(ExtensionOf(coding)), links));
  const os::FileFacts facts = TRY(os::FactsOf(opened));
  if (!facts.regular) return Error{Blame::kClient, Retry::kNever, 0, "not a regular file"};
  Description description = Describe(file, coding, facts);
  if (facts.size > limits_.file_memory_max || facts.size >= kSendFileBytesMin) {
    os::Mapping mapping = TRY(os::Mapping::File(opened, facts.size));
    return std::make_shared<const Representation>(
        std::move(description), std::move(mapping), std::move(opened));
  }
  std::string bytes = TRY(os::ReadAt(opened, facts.size, 0));
  return std::make_shared<const Representation>(std::move(description), std::move(bytes));
}

// Null where it would not be smaller.
SharedRepresentation StaticFiles::Compressed(const StaticFile& file, Coding coding) const {
  const SharedRepresentation& plain = file.Of(Coding::kIdentity);
  const auto bytes = plain->Copy();
  if (!bytes.ok()) return nullptr;
  const compress::Levels levels = LevelsOf(compression_);
  std::string coded = compress::CompressAll(coding, levels, bytes.value());
  if (coded.size() >= plain->bytes().size()) return nullptr;
  coded.shrink_to_fit();
  Description description = plain->description();
  description.coding = coding;
  // Other levels make other bytes.
  description.etag += fmt::format("-{}{}", NameOf(coding), levels.Of(coding));
  return std::make_shared<const Representation>(std::move(description), std::move(coded));
}

const SharedRepresentation& StaticFiles::Choose(const http::RequestHead& head, StaticFile& file) {
  if (file.available.empty() || !head.Has(KnownField::kAcceptEncoding)) {
    return file.Of(Coding::kIdentity);
  }
  const http::AcceptedCodings accepted(head);
  for (;;) {
    // Who refuses identity too gets it all the same: better than nothing.
    const Coding coding = accepted.Choose(file.available).value_or(Coding::kIdentity);
    if (file.Of(coding) != nullptr || Make(file, coding)) return file.Of(coding);
    std::erase(file.available, coding);
  }
}

// Once for each coding of a cached file; false where it cannot be had.
bool StaticFiles::Make(StaticFile& file, Coding coding) {
  SharedRepresentation& made = file.made[static_cast<std::size_t>(coding)];
  if (file.NeighbourOf(coding)) {
    auto read = Read(file, coding);
    if (read.ok()) made = std::move(read).value();
  } else {
    made = Compressed(file, coding);
  }
  cache_.Recharge(file.key);
  return made != nullptr;
}

}  // namespace onebox::front

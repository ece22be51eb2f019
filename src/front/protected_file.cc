#include "front/protected_file.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/ascii.h"
#include "http/path.h"
#include "http/response_head.h"

namespace onebox::front {
namespace {

constexpr std::string_view kAccel = "X-Accel-Redirect";
constexpr std::string_view kSendfile = "X-Sendfile";

bool IsOneOf(std::span<const std::string_view> names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [name](std::string_view one) {
    return EqualsIgnoreCase(one, name);
  });
}

// Of the app's body, which is not sent; or of the connection.
constexpr std::array<std::string_view, 14> kNotWithAFile = {"Accept-Ranges",
                                                            "Connection",
                                                            "Content-Encoding",
                                                            "Content-Length",
                                                            "Content-Range",
                                                            "ETag",
                                                            "Keep-Alive",
                                                            "Last-Modified",
                                                            "Trailer",
                                                            "Transfer-Encoding",
                                                            "Upgrade",
                                                            "X-Request-ID",
                                                            kSendfile,
                                                            "X-Sendfile-Type"};

bool IsNotWithAFile(std::string_view name) {
  constexpr std::string_view kAccelFields = "X-Accel-";
  return IsOneOf(kNotWithAFile, name) ||
         EqualsIgnoreCase(name.substr(0, kAccelFields.size()), kAccelFields);
}

// Where both say it, the app's word holds.
constexpr std::array<std::string_view, 2> kTheAppsIfSaid = {"Cache-Control", "Content-Type"};

std::optional<ProtectedFile> LocateByPath(const std::vector<ProtectedFolder>& folders,
                                          std::string_view value) {
  std::string storage;
  http::NormalPath path;
  if (http::NormalizePath(value.substr(0, value.find('?')), storage, path)) return std::nullopt;
  for (const ProtectedFolder& folder : folders) {
    if (!path.path.starts_with(folder.prefix)) continue;
    return ProtectedFile{&folder.files, std::string(path.path.substr(folder.prefix.size()))};
  }
  return std::nullopt;
}

std::optional<ProtectedFile> LocateOnDisk(const std::vector<ProtectedFolder>& folders,
                                          std::string_view value) {
  for (const ProtectedFolder& folder : folders) {
    std::string_view below = folder.files.folder;
    if (below.ends_with('/')) below.remove_suffix(1);
    if (!value.starts_with(below) || value.substr(below.size(), 1) != "/") continue;
    return ProtectedFile{&folder.files, std::string(value.substr(below.size() + 1))};
  }
  return std::nullopt;
}

}  // namespace

const channel::Field* FindFileField(const channel::ResponseHead& head) {
  for (const channel::Field& field : head.fields) {
    if (EqualsIgnoreCase(field.name, kAccel) || EqualsIgnoreCase(field.name, kSendfile)) {
      return &field;
    }
  }
  return nullptr;
}

std::optional<ProtectedFile> LocateFile(const std::vector<ProtectedFolder>& folders,
                                        const channel::Field& field) {
  return EqualsIgnoreCase(field.name, kAccel) ? LocateByPath(folders, field.value)
                                              : LocateOnDisk(folders, field.value);
}

std::optional<std::string> FieldsWithFile(const channel::ResponseHead& head,
                                          const StaticAnswer& file) {
  std::string fields;
  std::vector<std::string_view> said;
  for (const channel::Field& field : head.fields) {
    if (!http::IsValidFieldName(field.name) || !http::IsValidFieldValue(field.value)) {
      return std::nullopt;
    }
    if (IsNotWithAFile(field.name)) continue;
    // The boundary between parts of a file is in its own type.
    const bool parts = file.fields.find("multipart/byteranges") != file.fields.npos;
    if (parts && EqualsIgnoreCase(field.name, "Content-Type")) continue;
    http::AppendField(fields, field.name, field.value);
    if (IsOneOf(kTheAppsIfSaid, field.name)) said.push_back(field.name);
  }
  const auto is_said = [&said](std::string_view name) { return IsOneOf(said, name); };
  for (std::string_view left = file.fields; !left.empty();) {
    const std::string_view line = left.substr(0, left.find('\n') + 1);
    left.remove_prefix(line.size());
    const std::string_view name = line.substr(0, line.find(':'));
    if (!is_said(name) && !EqualsIgnoreCase(name, "Cache-Control")) fields += line;
  }
  if (!is_said("Cache-Control")) http::AppendField(fields, "Cache-Control", "private, no-cache");
  return fields;
}

}  // namespace onebox::front

#include "front/static_file.h"

#include <utility>

#include "http/date.h"
#include "http/response_head.h"
#include "os/file.h"

namespace onebox::front {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;  // ns

// Of an entry without its bytes and strings: the objects, list and index nodes. Generous, so that a
// cache of very small files does not outgrow its budget.
constexpr std::size_t kEntryOverhead = 768;
constexpr std::size_t kRepresentationOverhead = 512;

}  // namespace

Representation::Representation(Description description, std::string bytes)
    : description_(std::move(description)), memory_(std::move(bytes)) {
  WriteFields();
}

Representation::Representation(Description description, os::Mapping mapping, os::Fd file)
    : description_(std::move(description)), mapping_(std::move(mapping)), file_(std::move(file)) {
  WriteFields();
}

Piece Representation::PieceOf(const std::shared_ptr<const Representation>& self,
                              std::string_view part) {
  if (!self->mapped()) return {.owner = self, .bytes = part};
  return {.owner = self,
          .bytes = part,
          .file = &self->file_,
          .mapped_at = self->mapping_.bytes().data()};
}

Result<std::string> Representation::Copy() const {
  if (!mapped()) return memory_;
  return os::ReadAt(file_, bytes().size(), 0);
}

// In the order that makes each of the three a beginning of the next.
void Representation::WriteFields() {
  fields_.append("ETag: ");
  http::AppendEntityTag(fields_, etag());
  fields_.append("\r\n");
  http::AppendField(
      fields_, "Last-Modified", http::View(http::FormatDate(description_.last_modified)));
  http::AppendField(fields_, "Cache-Control", description_.cache_control);
  if (description_.varies) http::AppendField(fields_, "Vary", "Accept-Encoding");
  unchanged_size_ = fields_.size();
  http::AppendField(fields_, "Accept-Ranges", "bytes");
  if (description_.coding != http::Coding::kIdentity) {
    http::AppendField(fields_, "Content-Encoding", NameOf(description_.coding));
  }
  partial_size_ = fields_.size();
  http::AppendField(fields_, "Content-Type", description_.media_type);
  http::AppendField(fields_, "Content-Length", bytes().size());
  fields_.shrink_to_fit();
}

std::string_view Representation::partial_fields() const {
  return full_fields().substr(0, partial_size_);
}

std::string_view Representation::unchanged_fields() const {
  return full_fields().substr(0, unchanged_size_);
}

std::size_t Representation::charge() const {
  return kRepresentationOverhead + memory_.capacity() + fields_.capacity();
}

Charge ChargeOf(const StaticFile& file) {
  Charge charge{.bytes = kEntryOverhead + file.key.capacity() + file.name.capacity()};
  for (const SharedRepresentation& made : file.made) {
    if (made == nullptr) continue;
    charge.bytes += made->charge();
    charge.mappings += std::size_t{made->mapped()};
  }
  return charge;
}

std::optional<Sighting> LookAt(const std::string& path) {
  const auto facts = os::FactsAt(path);
  if (!facts || !facts->regular) return std::nullopt;
  Sighting sighting{.facts = *facts};
  std::string beside;
  for (const http::CodingRow& row : http::kCodings) {
    if (row.extension.empty()) continue;
    beside.assign(path).append(row.extension);
    const auto neighbour = os::FactsAt(beside);
    // What compresses a file gives the other one its time, and some in whole seconds.
    const bool usable = neighbour && neighbour->regular &&
                        neighbour->modified_ns / kSecond >= facts->modified_ns / kSecond;
    if (usable) sighting.neighbours[static_cast<std::size_t>(row.coding)] = neighbour;
  }
  return sighting;
}

}  // namespace onebox::front

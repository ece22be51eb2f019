#include "http/coding.h"

#include "base/ascii.h"

namespace onebox::http {

std::optional<Coding> CodingOf(std::string_view name) {
  for (const CodingRow& row : kCodings) {
    if (EqualsIgnoreCase(row.name, name)) return row.coding;
  }
  if (EqualsIgnoreCase(name, "x-gzip")) return Coding::kGzip;
  return std::nullopt;
}

}  // namespace onebox::http

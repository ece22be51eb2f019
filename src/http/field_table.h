#pragma once
// The fields of a head, by their order and by their names.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "http/known_field.h"
#include "http/limits.h"

namespace onebox::http {

struct Field {
  std::string_view name;   // as sent: a token
  std::string_view value;  // without the white space around it
  KnownField known = KnownField::kOther;
};

// Views into the bytes of the head. Filling it allocates nothing.
struct FieldTable {
  // In the order of their arrival.
  std::span<const Field> fields() const { return {field_slots.data(), field_count}; }

  bool Has(KnownField field) const { return (present & BitOf(field)) != 0; }

  // The first field of that name, or nothing. Fields that are lists may come more than once: see
  // Repeated(), or walk fields().
  const Field* Find(KnownField field) const {
    return Has(field) ? &field_slots[first_of[static_cast<std::size_t>(field)]] : nullptr;
  }
  std::string_view Value(KnownField field) const {
    const Field* found = Find(field);
    return found == nullptr ? std::string_view{} : found->value;
  }
  bool Repeated(KnownField field) const { return (repeated & BitOf(field)) != 0; }

  // What the parser fills; read through the functions above.
  static constexpr std::uint64_t BitOf(KnownField field) {
    return std::uint64_t{1} << static_cast<unsigned>(field);
  }
  void ClearFields() {
    field_count = 0;
    present = repeated = 0;
  }
  // REQUIRES: there is room.
  void AddField(std::string_view name, std::string_view value) {
    Field& field = field_slots[field_count];
    field = {name, value, KnownFieldOf(name)};
    const auto slot = static_cast<std::uint8_t>(field_count++);
    if (field.known == KnownField::kOther) return;
    const std::uint64_t bit = BitOf(field.known);
    repeated |= present & bit;
    if ((present & bit) != 0) return;
    present |= bit;
    first_of[static_cast<std::size_t>(field.known)] = slot;
  }

  std::array<Field, kFieldsCapacity> field_slots;
  std::size_t field_count = 0;
  std::uint64_t present = 0;  // BitOf() each known field that came; never kOther's
  std::uint64_t repeated = 0;
  std::array<std::uint8_t, kKnownFields> first_of{};  // a slot, where the field is present
};
static_assert(kFieldsCapacity <= 256, "FieldTable::first_of holds any slot");
static_assert(kKnownFields <= 64, "FieldTable::present has a bit for each");

}  // namespace onebox::http

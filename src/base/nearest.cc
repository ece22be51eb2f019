#include "base/nearest.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/ascii.h"

namespace onebox {
namespace {

// Changes cost by how unlike they are: another case is hardly one.
constexpr std::size_t kCaseCost = 1;
constexpr std::size_t kChangeCost = 6;

std::size_t CostOfChange(char from, char to) {
  if (from == to) return 0;
  return ToLower(from) == ToLower(to) ? kCaseCost : kChangeCost;
}

// Levenshtein's distance with these costs, where two letters that changed places are one change
// (optimal string alignment). Rows hold the distances of one prefix of `a`.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j * kChangeCost;
  for (std::size_t i = 0; i < a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = last[0] + kChangeCost;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = last[j] + CostOfChange(a[i], b[j]);
      row[j + 1] = std::min({changed, row[j] + kChangeCost, last[j + 1] + kChangeCost});
      const bool swapped = i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j];
      if (swapped) row[j + 1] = std::min(row[j + 1], before_last[j - 1] + kChangeCost);
    }
  }
  return row.back();
}

}  // namespace

std::string_view NearestName(std::string_view wrong, std::span<const std::string_view> names) {
  std::string_view nearest;
  std::size_t cost_max = std::max<std::size_t>(wrong.size() * kChangeCost / 3, kCaseCost);
  for (const std::string_view name : names) {
    const std::size_t longer = std::max(name.size(), wrong.size());
    if (longer - std::min(name.size(), wrong.size()) > wrong.size() / 3) continue;
    const std::size_t cost = Distance(wrong, name);
    if (cost > cost_max || (cost == cost_max && !nearest.empty())) continue;
    nearest = name;
    cost_max = cost;
  }
  return nearest;
}

}  // namespace onebox

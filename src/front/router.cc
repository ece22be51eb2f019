#include "front/router.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace onebox::front {
namespace {

constexpr std::string_view kOne = "*";
constexpr std::string_view kAny = "**";

// The segments of a path, one after the other: "/a//b" has "a", "" and "b".
class Segments {
 public:
  explicit Segments(std::string_view path) : rest_(path) {}

  bool empty() const { return rest_.empty(); }
  std::string_view first() const { return rest_.substr(1, End() - 1); }
  Segments next() const { return Segments(rest_.substr(End())); }

 private:
  std::size_t End() const { return std::min(rest_.find('/', 1), rest_.size()); }

  std::string_view rest_;  // begins with "/", or is empty
};

// What the right side is. In a pattern a * is a segment of which nothing is known, and ** is met by
// ** alone.
enum class Subject : std::uint8_t { kPath, kPattern };

bool MeetsOne(std::string_view wanted, std::string_view segment, Subject subject) {
  if (wanted == kOne) return subject == Subject::kPath || segment != kAny;
  return wanted == segment && (subject == Subject::kPath || segment != kOne);
}

// The usual two pointers: where it does not go on, the last ** takes one segment more.
bool Meets(std::string_view pattern, std::string_view path, Subject subject) {
  Segments wanted(pattern);
  Segments left(path);
  std::optional<std::pair<Segments, Segments>> last_any;  // what follows it; where it ends
  while (!left.empty()) {
    if (!wanted.empty() && wanted.first() == kAny) {
      wanted = wanted.next();
      if (wanted.empty()) return true;  // one segment at least
      last_any = {wanted, left};
    } else if (!wanted.empty() && MeetsOne(wanted.first(), left.first(), subject)) {
      wanted = wanted.next();
      left = left.next();
    } else if (last_any) {
      last_any->second = last_any->second.next();
      wanted = last_any->first;
      left = last_any->second;
    } else {
      return false;
    }
  }
  return wanted.empty();
}

}  // namespace

std::optional<PathPattern> PathPattern::Parse(std::string_view text) {
  if (!text.starts_with('/') || text.find_first_of(std::string_view("\0?#", 3)) != text.npos) {
    return std::nullopt;
  }
  bool inner = false;  // a * before the last segment
  for (Segments left(text); !left.empty(); left = left.next()) {
    const std::string_view segment = left.first();
    const bool wild = segment.find('*') != segment.npos;
    if (wild && segment != kOne && segment != kAny) return std::nullopt;
    inner = inner || (wild && !left.next().empty());
  }
  const bool open = text.ends_with("/*") || text.ends_with("/**");
  if (!inner && open) {
    return PathPattern(Kind::kPrefix, std::string(text.substr(0, text.find('*'))));
  }
  if (!inner) return PathPattern(Kind::kExact, std::string(text));
  return PathPattern(Kind::kSegments,
                     text.ends_with("/*") ? std::string(text) + '*' : std::string(text));
}

bool PathPattern::Matches(std::string_view path) const {
  switch (kind_) {
    case Kind::kExact:
      return path == text_;
    case Kind::kPrefix:
      return path.starts_with(text_);
    case Kind::kSegments:
      return Meets(text_, path, Subject::kPath);
  }
  CHECK(false);
}

std::string_view PathPattern::Rest(std::string_view path) const {
  switch (kind_) {
    case Kind::kExact:
      return path.substr(path.rfind('/') + 1);
    case Kind::kPrefix:
      return path.substr(text_.size());
    case Kind::kSegments:
      return path.substr(text_.find('*'));  // what is before it stands in both
  }
  CHECK(false);
}

bool PathPattern::Covers(const PathPattern& other) const {
  if (other.kind_ == Kind::kExact) return Matches(other.text_);
  const auto whole = [](const PathPattern& pattern) {
    return pattern.kind_ == Kind::kPrefix ? pattern.text_ + "**" : pattern.text_;
  };
  return Meets(whole(*this), whole(other), Subject::kPattern);
}

std::uint32_t MethodBit(http::Method method) {
  return method == http::Method::kOther ? 0 : 1U << static_cast<unsigned>(method);
}

bool Covers(const Route& earlier, const Route& later) {
  const auto first = PathPattern::Parse(earlier.path);
  const auto second = PathPattern::Parse(later.path);
  CHECK(first && second);  // the options were checked
  const bool methods =
      earlier.methods == 0 || (later.methods != 0 && (later.methods & ~earlier.methods) == 0);
  return methods && first->Covers(*second);
}

Duration LongestTimeout(const Settings& settings) {
  Duration longest = settings.rest.timeout;
  for (const Route& route : settings.routes)
    longest = std::max(longest, route.rules.timeout);
  return longest;
}

void Router::Append(const std::vector<Route>& routes, std::uint32_t site, std::vector<Row>& to) {
  for (const Route& route : routes) {
    if (route.site != site) continue;
    auto pattern = PathPattern::Parse(route.path);
    CHECK(pattern);
    const RouteRules& rules = route.rules;
    const bool says_who = rules.files || rules.redirect || rules.respond || !route.proxy.empty();
    to.push_back({std::move(*pattern), route.methods, &rules, site != kEverySite, says_who});
  }
}

Router::Rows Router::RowsOf(const Settings& settings, std::uint32_t site, const RouteRules& rest) {
  Rows rows{.mounts = {}, .rows = {}, .rest = &rest};
  for (const std::uint32_t of : {site, kEverySite}) {
    Append(settings.mounts, of, rows.mounts);
    Append(settings.routes, of, rows.rows);
    if (site == kEverySite) break;
  }
  return rows;
}

Router::Router(const Settings& settings) : timeout_max_(LongestTimeout(settings)) {
  for (std::uint32_t i = 0; i < settings.sites.size(); ++i) {
    const Site& site = settings.sites[i];
    for (const std::string& host : site.hosts)
      CHECK(hosts_.Add(host, i));  // the options were checked
    sites_.push_back(RowsOf(settings, i, site.rest));
  }
  others_ = settings.unknown_hosts.has_value()
                ? Rows{.mounts = {}, .rows = {}, .rest = &*settings.unknown_hosts}
                : RowsOf(settings, kEverySite, settings.rest);
}

Router::Way Router::Match(std::string_view host, http::Method method, std::string_view path) const {
  const auto site = hosts_.empty() ? std::nullopt : hosts_.Find(host);
  const Rows& of = site ? sites_[*site] : others_;
  const auto matches = [&](const Row& row) {
    const bool method_fits = row.methods == 0 || (row.methods & MethodBit(method)) != 0;
    return method_fits && row.pattern.Matches(path);
  };
  const auto row = std::find_if(of.rows.begin(), of.rows.end(), matches);
  Way way{.rules = of.rest, .rest = path.substr(1)};
  if (row != of.rows.end()) way = {.rules = row->rules, .rest = row->pattern.Rest(path)};
  if (way.rules->files) way.files = &*way.rules->files;
  const auto mount = std::find_if(of.mounts.begin(), of.mounts.end(), matches);
  if (mount == of.mounts.end()) return way;
  const bool by_the_site = row != of.rows.end() && row->of_the_site && row->says_who_answers;
  if (by_the_site && !mount->of_the_site) return way;
  way.rest = mount->pattern.Rest(path);
  way.files = &*mount->rules->files;
  return way;
}

}  // namespace onebox::front

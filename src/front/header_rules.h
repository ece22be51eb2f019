#pragma once
// What the operator changes in the fields of answers, and of requests on their way to who answers.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "channel/request.h"

namespace onebox::front {

// Whether a rule may be about the field: a token that says nothing of how the message is framed or of
// the connection, which is not the operator's to say.
bool IsFieldForRules(std::string_view name);
// Of requests there are more of which we say what holds: who is asked, and by what protocol.
bool IsFieldForRequestRules(std::string_view name);

using FieldPairs = std::vector<std::pair<std::string, std::string>>;

// What one table of the file says. Each name IsFieldForRules(), each value is valid.
struct HeaderChanges {
  std::vector<std::string> remove;
  FieldPairs set;       // in place of what the answer has
  FieldPairs add;       // beside it
  FieldPairs defaults;  // where it has none
};

// Fields that make browsers more careful, as defaults: what the app says itself holds.
enum class SecurityHeaders : std::uint8_t { kOff, kOn, kStrict };

inline constexpr std::size_t kHeaderRulesMax =
    64;  // of one route, with those of its site and of all

// The changes of all tables that hold for an answer, or for a request, as one list.
class HeaderRules {
 public:
  HeaderRules() = default;  // changes nothing
  explicit HeaderRules(SecurityHeaders security);

  // These, and over them those of a narrower table: what that says of a field holds, and nothing that
  // these say of it, but for fields that it adds. Of a field that it gives a default, what is set stays.
  HeaderRules Under(const HeaderChanges& narrower) const;

  // The lines of an answer's head, each "Name: value\r\n", without the empty one: all of `out` behind
  // its first `begin` bytes. `secure`: they go over TLS.
  void Apply(std::string& out, std::size_t begin, bool secure) const;

  // The same of fields one by one. What it adds are views of the rules.
  void Apply(std::vector<channel::Field>& fields) const;

  bool empty() const { return rules_.empty(); }
  std::size_t size() const { return rules_.size(); }

 private:
  enum class Kind : std::uint8_t { kRemove, kSet, kAdd, kDefault };
  struct Rule {
    Kind kind;
    std::string name;
    std::string line;          // none of kRemove
    bool secure_only = false;  // of kDefault

    std::string_view value() const;  // of `line`
  };

  void Drop(std::string_view name);
  void Put(Kind kind, std::string_view name, std::string_view value, bool secure_only = false);
  bool Takes(std::string_view name, std::uint64_t& present) const;

  std::vector<Rule> rules_;
};

}  // namespace onebox::front

#include "supervise/succession.h"

#include <limits>

#include "base/json.h"
#include "os/file.h"

namespace onebox::supervise {
namespace {

using nlohmann::json;

constexpr std::size_t kBytesMax = 1 << 20;
constexpr int kDescriptorMax = 1 << 20;

Error Broken() {
  return {Blame::kSystem, Retry::kNever, 0, "what the program before has left cannot be read"};
}

int Descriptor(const json& value) {
  const bool is_one = value.is_number_integer() && value.get<std::int64_t>() >= 0 &&
                      value.get<std::int64_t>() <= kDescriptorMax;
  return is_one ? value.get<int>() : -1;
}

std::vector<int> Descriptors(const json& value) {
  std::vector<int> found;
  if (!value.is_array()) return found;
  for (const json& one : value) {
    found.push_back(Descriptor(one));
  }
  return found;
}

int Small(const json& value) {
  const std::uint64_t number = value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
  return number <= std::numeric_limits<int>::max() ? static_cast<int>(number) : 0;
}

template <typename Value>
bool Named(std::string_view name, std::initializer_list<Value> values, Value& out) {
  for (const Value value : values) {
    if (NameOf(value) != name) continue;
    out = value;
    return true;
  }
  return false;
}

json Written(const Succession::Left& left) {
  return {{"role", NameOf(left.role)},
          {"life", NameOf(left.life)},
          {"number", left.number},
          {"pid", left.pid},
          {"goes", left.goes},
          {"app", left.app},
          {"hooks", left.hooks},
          {"control", left.control},
          {"output", left.output},
          {"attach_name", left.attach_name},
          {"attach", left.attach},
          {"first_lane", left.first_lane}};
}

bool Read(const json& object, Succession::Left& left) {
  left.number = Small(At(object, "number"));
  left.pid = Small(At(object, "pid"));
  left.goes = IsTrue(At(object, "goes"));
  left.app = Text(At(object, "app"));
  left.hooks = IsTrue(At(object, "hooks"));
  left.control = Descriptor(At(object, "control"));
  left.output = Descriptor(At(object, "output"));
  left.attach_name = Text(At(object, "attach_name"));
  left.attach = Descriptors(At(object, "attach"));
  left.first_lane = Number(At(object, "first_lane"));
  return left.pid > 0 &&
         Named(Text(At(object, "role")),
               {Role::kFront,
                Role::kBroker,
                Role::kAcme,
                Role::kZygote,
                Role::kAppWorker,
                Role::kTaskWorker},
               left.role) &&
         Named(Text(At(object, "life")), {Life::kBooting, Life::kReady, Life::kEnding}, left.life);
}

}  // namespace

Result<os::Fd> Leave(const Succession& succession) {
  json processes = json::array();
  for (const Succession::Left& left : succession.processes) {
    processes.push_back(Written(left));
  }
  json listeners = json::array();
  for (const auto& [asked, socket] : succession.listeners) {
    listeners.push_back({{"asked", asked}, {"socket", socket}});
  }
  const std::string text = json{
      {"generation", succession.generation},
      {"listeners", listeners},
      {"state_lock", succession.state_lock},
      {"control", succession.control},
      {"broker", succession.broker},
      {"askers", succession.askers},
      {"processes", processes}}.dump();
  os::Fd file = TRY(os::OpenMemory("onebox-succession"));
  TRY(os::WriteAt(file, text, 0));
  return file;
}

Result<Succession> Inherit(const os::Fd& file) {
  const std::string text = TRY(os::ReadAt(file, kBytesMax, 0));
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  Succession found;
  found.generation = static_cast<unsigned>(Small(At(object, "generation")));
  found.state_lock = Descriptor(At(object, "state_lock"));
  found.control = Descriptor(At(object, "control"));
  found.broker = Descriptor(At(object, "broker"));
  found.askers = Descriptors(At(object, "askers"));
  for (const json& listener : At(object, "listeners")) {
    found.listeners.emplace_back(Text(At(listener, "asked")), Descriptor(At(listener, "socket")));
    if (found.listeners.back().second < 0) return Broken();
  }
  for (const json& process : At(object, "processes")) {
    if (!Read(process, found.processes.emplace_back())) return Broken();
  }
  if (found.generation == 0 || found.state_lock < 0 || found.control < 0) return Broken();
  return found;
}

}  // namespace onebox::supervise

#pragma once
// Asks a running box how it is, over the control socket in its state folder.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "os/fd.h"

namespace onebox::supervise {

inline constexpr std::size_t kStatusBytesMax = 256 << 10;

std::string ControlPath(const std::string& state);
// Held by the box for as long as it runs.
std::string LockPath(const std::string& state);

// The status as one JSON object; an Error where no box runs there.
Result<std::string> AskStatus(const std::string& state);

// Lets the box read its settings and load its app anew. Returns when that serves, with the number of
// its generation; an Error with the reason, and with what the app printed, where the one before serves
// on.
Result<std::uint64_t> AskReload(const std::string& state);
// The same with the program itself, as it lies on the disk now, in its place.
Result<std::uint64_t> AskUpgrade(const std::string& state);
// Lets it finish what has begun, and end; returns when it has ended.
Status AskStop(const std::string& state);

// What its workers share; the caller's to close.
Result<os::Fd> AskMemory(const std::string& state);

// A connection to its broker that does not block; nothing where no task or job has needed one so far.
Result<std::optional<os::Fd>> AskBroker(const std::string& state);

// Lets it ask for another certificate for that name, now; an Error where it obtains none for it. What comes of
// it is in the status.
Status AskRenew(const std::string& state, const std::string& name);

// The status for people.
std::string DescribeStatus(const std::string& status);

}  // namespace onebox::supervise

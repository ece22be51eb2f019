#pragma once
// Files and folders.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace onebox::os {

// The whole file, up to `bytes_max`; larger is an Error.
Result<std::string> ReadFile(const std::string& path, std::size_t bytes_max);

// For lines that several processes append to; created with mode 0640.
Result<Fd> OpenForAppend(const std::string& path);

// A file without a name in `folder`: it goes when its last descriptor does.
Result<Fd> OpenTemporary(const std::string& folder);

// A file in memory, without a name; `name` is for people who look at /proc.
Result<Fd> OpenMemory(const char* name);

// The same file for reading, with a position of its own.
Result<Fd> Reopen(const Fd& file);

// All of it, in as many writes as it takes; blocking descriptors only.
Status WriteAll(const Fd& file, std::string_view bytes);

// At an offset, without moving the file's position; the whole of `bytes` or an Error.
Status WriteAt(const Fd& file, std::string_view bytes, std::uint64_t offset);

// Up to `size` bytes from `offset`; shorter at the end of the file.
Result<std::string> ReadAt(const Fd& file, std::size_t size, std::uint64_t offset);

// Fills the whole of `buffer` from `offset`, or an Error: that of a file that is shorter, too.
Status ReadExactly(const Fd& file, std::span<char> buffer, std::uint64_t offset);

// Gives that part back to the disk, and it reads as zeros; a file system that cannot do so keeps it.
void FreePart(const Fd& file, std::uint64_t offset, std::uint64_t size);

// The folder and those above it, mode 0750, where they are not there.
Status MakeFolders(const std::string& path);

// Who may use it: 0600 is its owner alone.
Status SetMode(const std::string& path, unsigned mode);

// Made empty where it is not there; its owner's alone (mode 0600) in either case. Not a link.
Status MakePrivateFile(const std::string& path);

// Absolute, without links and dots; an Error if it is not there.
Result<std::string> RealPath(const std::string& path);

// Locks the file for this process (created if needed): nothing if another process holds it.
Result<Fd> LockFile(const std::string& path);

void RemoveFile(const std::string& path);

}  // namespace onebox::os

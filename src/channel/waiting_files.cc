#include "channel/waiting_files.h"

#include <algorithm>
#include <utility>

namespace onebox::channel {

void WaitingFiles::Add(const FileMessage& message, os::Fd file) {
  files_.push_back({message, std::move(file)});
}

std::optional<os::Fd> WaitingFiles::Take(const FileMessage& wanted) {
  const auto found = std::find_if(files_.begin(), files_.end(), [&wanted](const File& file) {
    return file.message.slot == wanted.slot && file.message.generation == wanted.generation;
  });
  if (found == files_.end()) return std::nullopt;
  os::Fd file = std::move(found->file);
  files_.erase(found);
  return file;
}

void WaitingFiles::Forget(std::uint32_t slot) {
  std::erase_if(files_, [slot](const File& file) { return file.message.slot == slot; });
}

}  // namespace onebox::channel

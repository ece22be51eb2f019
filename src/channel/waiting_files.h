#pragma once
// WaitingFiles: files that came before the frames that name them.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "channel/message.h"
#include "os/fd.h"

namespace onebox::channel {

class WaitingFiles {
 public:
  std::size_t size() const { return files_.size(); }
  void Add(const FileMessage& message, os::Fd file);
  // Nothing where it has not come.
  std::optional<os::Fd> Take(const FileMessage& wanted);
  // Whatever came for that slot.
  void Forget(std::uint32_t slot);

 private:
  struct File {
    FileMessage message;
    os::Fd file;
  };
  std::vector<File> files_;
};

}  // namespace onebox::channel

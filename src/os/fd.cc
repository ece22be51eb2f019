#include "os/fd.h"

#include <unistd.h>

namespace onebox::os {

void Fd::Reset(int number) {
  if (number_ >= 0) ::close(number_);
  number_ = number;
}

}  // namespace onebox::os

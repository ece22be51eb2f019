#include "supervise/supervisor.h"

#include <fmt/format.h>

#include "supervise/box.h"

namespace onebox::supervise {

std::string_view NameOfUnits(WorkerClass worker_class) {
  return worker_class == WorkerClass::kGevent ? "greenlets" : "threads";
}

int RunBox(const BoxSettings& settings, const Outside& outside, os::Fd inherited) {
  Box box(settings, outside);
  const Status opened = inherited.valid() ? box.Inherit(inherited) : box.Open();
  if (!opened.ok()) {
    outside.print(fmt::format("onebox: {}\n", opened.error().message));
    box.CloseListeners();
  }
  const int status = opened.ok() ? box.Run() : 1;
  box.RemovePaths();
  return status;
}

}  // namespace onebox::supervise

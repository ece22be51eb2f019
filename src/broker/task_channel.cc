#include "broker/task_channel.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <sys/epoll.h>

#include "channel/request.h"
#include "os/file.h"

namespace onebox::broker {
namespace {

constexpr int kFramesPerTurn = 256;  // of one worker; the rest waits for the next turn

// Where a task is larger than what a frame holds.
std::optional<os::Fd> FileOf(std::string_view body) {
  auto file = os::OpenMemory("onebox-task");
  if (!file.ok() || !os::WriteAll(file.value(), body).ok()) return std::nullopt;
  return std::move(file).value();
}

}  // namespace

Status TaskChannel::Watch() {
  TRY(reactor_.Watch(end_->socket(), socket_, EPOLLIN | EPOLLRDHUP));
  return reactor_.Watch(end_->wakeup(), wakeup_, EPOLLIN);
}

void TaskChannel::Socket::OnReady(std::uint32_t /*events*/) {
  if (channel_.dead_) return;
  const Status read = channel_.end_->ReadMessages();
  if (!read.ok()) channel_.Die(read.error().message);
}

bool TaskChannel::Send(const Sending& task) {
  const auto slot = end_->FreeSlot();
  if (dead_ || !slot) return false;
  const std::string id = fmt::format("task-{}", task.id);
  const bool is_inline = task.body.size() <= channel::kInlineBodyBytesMax;
  channel::Request request{
      .method = "POST",
      .path = "/task",
      .query = {},
      .target = "/task",
      .scheme = "http",
      .server_name = "onebox",
      .server_port = 80,
      .id = id,
      .body_place = is_inline ? channel::BodyPlace::kInline : channel::BodyPlace::kFile,
      .body_size = task.body.size()};
  if (task.deadline) request.deadline = task.deadline->time_since_epoch().count();
  std::optional<os::Fd> file;
  if (!is_inline) {
    file = FileOf(task.body);
    if (!file) return false;
  }
  std::string head;
  channel::EncodeRequest(head, request);
  const channel::Sent sent =
      end_->Send(*slot, head, is_inline ? task.body : std::string_view(), file ? &*file : nullptr);
  if (sent == channel::Sent::kBroken) Die("its channel is broken");
  if (sent != channel::Sent::kSent) return false;
  slots_[*slot] = task.id;
  return true;
}

std::optional<std::uint32_t> TaskChannel::SlotOf(queue::TaskId id) const {
  const auto found = std::find(slots_.begin(), slots_.end(), id);
  if (found == slots_.end()) return std::nullopt;
  return static_cast<std::uint32_t>(found - slots_.begin());
}

bool TaskChannel::Revoke(queue::TaskId id) {
  const auto slot = SlotOf(id);
  if (!slot || !end_->Revoke(*slot)) return false;
  slots_[*slot] = queue::kNoTask;
  return true;
}

bool TaskChannel::Interrupt(queue::TaskId id) {
  const auto slot = SlotOf(id);
  if (dead_ || !slot) return false;
  end_->Cancel(*slot, channel::CancelReason::kDeadline);
  return true;
}

std::vector<queue::TaskId> TaskChannel::Waiting() const {
  std::vector<queue::TaskId> waiting;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot] != queue::kNoTask && !end_->Taken(slot)) waiting.push_back(slots_[slot]);
  }
  return waiting;
}

void TaskChannel::Read() {
  for (int frames = 0; !dead_ && frames < kFramesPerTurn; ++frames) {
    const auto next = end_->Next();
    if (!next.ok()) return Die(next.error().message);
    if (!next.value()) break;
    const channel::ResponseFrame& frame = *next.value();
    const bool ended = frame.end != channel::End::kNotYet;
    const queue::TaskId id =
        ended ? std::exchange(slots_[frame.slot], queue::kNoTask) : queue::kNoTask;
    end_->Release();
    if (id != queue::kNoTask) owner_.ended(*this, id);
  }
  if (!dead_) Hear();
}

void TaskChannel::Hear() {
  const channel::Stuck said = end_->stuck();
  if (said == heard_) return;
  heard_ = said;
  owner_.stuck(*this, said);
}

bool TaskChannel::Settle() {
  if (dead_) return false;
  end_->Flush();
  return !end_->PrepareToSleep() || end_->stuck() != heard_;
}

void TaskChannel::Die(std::string_view /*why*/) {
  if (std::exchange(dead_, true)) return;
  reactor_.Unwatch(end_->socket(), socket_);
  reactor_.Unwatch(end_->wakeup(), wakeup_);
  owner_.died(*this);
}

}  // namespace onebox::broker

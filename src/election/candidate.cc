#include "election/candidate.h"

#include <utility>

namespace onebox::election {

Status Candidate::Step() {
  if (clock_.Now() >= renewed_until_) fence_.reset();  // another may have led since
  Status done = fence_ ? Renew() : Seek();
  if (!done.ok()) {
    leadership_ = {};
    seen_.reset();  // what happens while nothing is heard is not known
  }
  return done;
}

Status Candidate::Seek() {
  const auto record = TRY(registry_.Read());
  const Time now = clock_.Now();
  const bool watching = seen_.has_value();
  holder_ = record ? record->holder : std::string();
  if (!record) return Take(record, Wait::kYes);
  if (!seen_ || seen_->record != *record) seen_ = {*record, now};
  if (record->holder.empty()) return Take(record, watching ? Wait::kNo : Wait::kYes);
  if (now - seen_->since < patience_) return Done();
  return Take(record, Wait::kNo);
}

Status Candidate::Take(const std::optional<Record>& record, Wait wait) {
  const Time sent = clock_.Now();
  fence_ = TRY(registry_.Take(record));
  if (!fence_) return Done();
  seen_.reset();
  leads_from_ = wait == Wait::kYes ? clock_.Now() + patience_ : sent;
  renewed_until_ = sent + lease_;
  return Renew();
}

Status Candidate::Renew() {
  const Time sent = clock_.Now();
  if (!TRY(registry_.Renew(*fence_))) {
    leadership_ = {};
    fence_.reset();
    return Done();
  }
  renewed_until_ = sent + lease_;
  const bool leads = clock_.Now() >= leads_from_;
  leadership_ = leads ? Leadership{*fence_, renewed_until_} : Leadership();
  return Done();
}

Status Candidate::Resign() {
  leadership_ = {};
  const auto fence = std::exchange(fence_, std::nullopt);
  // Who was still waiting for another's lead to end leaves the waiting to those who come.
  if (!fence || clock_.Now() < leads_from_) return Done();
  return registry_.Resign(*fence);
}

}  // namespace onebox::election

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "schedule/jobs.h"
#include "schedule/wording.h"

namespace onebox::schedule {

Result<Jobs::Declared> Jobs::Declare(Source source,
                                     std::uint64_t generation,
                                     std::span<const JobSpec> jobs,
                                     WallTime now) {
  std::uint64_t& newest = generations_[source];
  if (generation < newest) return Declared{.older = true, .refused = {}};
  auto declared = Within(Durability::kDisk, [&](Draft& draft) -> Result<Declared> {
    Declared made;
    std::set<std::string_view> named;
    std::size_t added = 0;
    for (const JobSpec& spec : jobs) {
      auto why = WhyNotNow(source, spec);
      if (!why && !named.insert(spec.name).second) why = "another job has its name";
      const bool is_new = names_.find(spec.name) == names_.end();
      if (!why && is_new && names_.size() + added >= limits_.jobs_max) {
        why = fmt::format("there are {} jobs, with those removed of late, and no more are taken",
                          limits_.jobs_max);
      }
      if (why) {
        named.insert(spec.name);
        made.refused.push_back({spec.name, *std::move(why)});
        continue;
      }
      if (is_new) ++added;
      TRY(DeclareOne(draft, source, spec, now));
    }
    for (const auto& [id, job] : jobs_) {
      if (job.live() && job.source == source && named.count(job.spec().name) == 0)
        TRY(Remove(draft, job, now));
    }
    return made;
  });
  if (declared.ok()) newest = generation;
  return declared;
}

std::optional<std::string> Jobs::WhyNotNow(Source source, const JobSpec& spec) const {
  const auto found = names_.find(spec.name);
  if (found != names_.end() && jobs_.at(found->second).Is(source, spec)) return std::nullopt;
  if (auto why = WhyNot(spec)) return why;
  const auto trigger = Trigger::Parse(spec.kind, spec.text, spec.zone);
  if (!trigger.ok()) return trigger.error().message;
  if (source == Source::kConfig || found == names_.end()) return std::nullopt;
  const JobState& job = jobs_.at(found->second);
  if (!job.live() || job.source == Source::kApp) return std::nullopt;
  return "the configuration has a job of that name";
}

Status Jobs::DeclareOne(Draft& draft, Source source, const JobSpec& spec, WallTime now) {
  const auto found = names_.find(spec.name);
  if (found == names_.end()) return Add(draft, source, spec, now);
  const JobState& before = *Of(found->second);
  if (before.Is(source, spec)) return Done();
  JobState& job = Drafted(draft, before);
  auto definition = Definition::Of(spec);
  const bool new_trigger = !job.live() || job.definition->trigger != definition->trigger;
  job.definition = std::move(definition);
  job.source = source;
  job.removed.reset();
  if (new_trigger) job.handled = std::max(job.handled, now);  // the clock may have been put back
  job.Aim();
  TRY(statements_.change_job.Run(spec.name,
                                 static_cast<int>(source),
                                 static_cast<int>(spec.kind),
                                 spec.text,
                                 spec.zone,
                                 spec.jitter,
                                 spec.timeout,
                                 static_cast<int>(spec.overlap),
                                 static_cast<int>(spec.catch_up.which),
                                 spec.catch_up.all_max,
                                 spec.catch_up.late,
                                 spec.retries,
                                 static_cast<int>(spec.work),
                                 spec.what));
  return Mark(job);
}

Status Jobs::Add(Draft& draft, Source source, const JobSpec& spec, WallTime now) {
  JobState job;
  job.definition = Definition::Of(spec);
  job.source = source;
  job.handled = now;
  job.Aim();
  Rows rows = statements_.add_job.Query(spec.name,
                                        static_cast<int>(source),
                                        static_cast<int>(spec.kind),
                                        spec.text,
                                        spec.zone,
                                        spec.jitter,
                                        spec.timeout,
                                        static_cast<int>(spec.overlap),
                                        static_cast<int>(spec.catch_up.which),
                                        spec.catch_up.all_max,
                                        spec.catch_up.late,
                                        spec.retries,
                                        static_cast<int>(spec.work),
                                        spec.what,
                                        now);
  if (!TRY(rows.Next())) return database_->Damaged("a job that was added has no id");
  job.id = rows.Integer(0);
  draft.jobs.emplace(job.id, std::move(job));
  return Done();
}

// What is given out may be in the queue: it stays, to be confirmed, or to be given out again.
Status Jobs::Remove(Draft& draft, const JobState& job, WallTime now) {
  JobState& changed = Drafted(draft, job);
  changed.removed = now;
  TRY(PassOverWaiting(changed, now));
  return Mark(changed);
}

}  // namespace onebox::schedule

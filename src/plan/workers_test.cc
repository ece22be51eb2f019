#include "plan/workers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::plan {
namespace {

using testing::HasSubstr;

TEST(PlanWorkers, LeavesAThirdOfTheCoresToTheOthersButMakesTwoAtLeast) {
  struct Case {
    unsigned logical_cores;
    unsigned workers;
  };
  for (const auto& [cores, workers] : {Case{1, 2},
                                       {2, 2},
                                       {3, 2},
                                       {4, 2},
                                       {5, 3},
                                       {6, 4},
                                       {7, 4},
                                       {8, 5},
                                       {12, 8},
                                       {64, 42},
                                       {256, 170}}) {
    SCOPED_TRACE(cores);
    EXPECT_EQ(PlanWorkers({.logical_cores = cores}).workers, workers);
  }
}

TEST(PlanWorkers, SaysWhatTheOtherCoresAreFor) {
  const auto plan = PlanWorkers({.logical_cores = 12, .database = "MySQL"});
  EXPECT_EQ(plan.reason,
            "one for each of 12 logical cores but 4, which are left to the front, MySQL and the "
            "system");
  EXPECT_THAT(PlanWorkers({.logical_cores = 1}).reason, HasSubstr("2 for 1 core:"));
}

TEST(DescribeMachine, NamesThreadsAndDatabaseOnlyWhereTheyAre) {
  struct Case {
    MachineFacts facts;
    const char* text;
  };
  const Case cases[] = {
      {{12, 6, 67'216'867'328, "MySQL"}, "6 cores (12 threads), 62.6 GiB, MySQL on this box"},
      {{1, 1, 1ULL << 30, ""}, "1 core, 1.0 GiB"},
      {{4, 0, 1ULL << 33, ""}, "4 cores, 8.0 GiB"},
      {{2, 8, 1ULL << 33, ""}, "2 cores, 8.0 GiB"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_EQ(DescribeMachine(c.facts), c.text);
  }
}

}  // namespace
}  // namespace onebox::plan

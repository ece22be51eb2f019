#!/usr/bin/env bash
# The one entry point: what a person types is what CI runs. Each step is a function here, and
# the sentence behind its name is what ./do help prints.
set -euo pipefail
cd "$(dirname "$0")"
readonly python=/usr/bin/python3  # Debian's, which has the packages; not one of a version manager

sources() { git ls-files -co --exclude-standard 'src/*.cc' 'src/*.h'; }

scripts() { # INTERPRETER: the files that start with its name
  git ls-files -co --exclude-standard | while read -r file; do
    if [ -f "$file" ] && head -n 1 "$file" | grep -aq "^#!.*$1"; then echo "$file"; fi
  done
}

do_help() { # this list
  sed -n 's/^do_\([a-z]*\)() { # /\1\t/p' "$0" | expand -t 10
}

do_setup() { # install the Debian packages of packages.txt that are missing
  tools/setup
}

do_build() { # build/release/bin/onebox, as it ships
  cmake --preset release && cmake --build --preset release
}

do_check() { # [PRESET] configure, build and run the unit tests (dev; release, tsan)
  cmake --workflow --preset "${1:-dev}"
}

do_demo() { # [--mysql] [--redis] [--port N] [--users N] [--state DIR] play the game until Ctrl-C
  do_setup
  echo "demo: building; the first time takes minutes"
  mkdir -p build
  do_build > build/demo.log 2>&1 || { cat build/demo.log; exit 1; }
  exec examples/nation/demo "$@"
}

do_test() { # setup and ci: what the README and CI call
  do_setup
  do_ci
}

do_ci() { # every check and test, one after the other
  local steps=(lint headers "check dev" fuzz "check tsan"
               "system dev" "system tsan -m threads")
  for step in "${steps[@]}"; do timed "$step"; done
  exec ./do system release  # its last line, pytest's, is the last line of all
}

timed() { # STEP
  local began=$SECONDS
  echo "== $1"
  # shellcheck disable=SC2086  # a step is a name with its arguments
  ./do $1
  echo "== $1: $((SECONDS - began)) s"
}

do_system() { # [PRESET] [FILE...] [PYTEST ARGUMENT...] tests of the whole program (release; dev, tsan)
  local preset=release which=() beyond=test/system/beyond_debian
  case "${1:-}" in release | dev | tsan) preset=$1; shift ;; esac
  cmake --preset "$preset" > /dev/null
  cmake --build --preset "$preset" --target onebox
  if [[ ${1:-} != test/system/* ]]; then
    which=(-n "$((2 * $(nproc)))" test/system)  # most of their time they wait
    if [ "$preset" != release ]; then
      which+=(-m "not once" "--ignore=$beyond")
    elif ! "$beyond/get" python; then
      which+=("--ignore=$beyond")
    elif ! "$beyond/get" mysql; then
      which+=("--ignore=$beyond/test_mysql.py")
    fi
  fi
  # nice: what runs beside a test counts for idle CPU then, and one of them waits for some.
  ONEBOX=build/$preset/bin/onebox nice $python -B -m pytest "${which[@]}" "$@"
}

do_fuzz() { # [TARGET SECONDS] every fuzz target for some seconds, or one for as long as told
  if [ $# = 0 ]; then
    cmake --workflow --preset fuzz
  else
    cmake --preset dev > /dev/null
    cmake --build --preset dev --target "$1"
    mkdir -p "build/dev/corpus/$1"
    local seeds=()
    [ ! -d "fuzz/$1" ] || seeds=("fuzz/$1")
    "build/dev/src/$1" -max_total_time="${2:?seconds}" -print_final_stats=1 \
      "build/dev/corpus/$1" "${seeds[@]}"
  fi
}

do_micro() { # ROOM [ARGUMENT...] a room's small benchmarks
  local room=${1:?room}
  shift
  cmake --preset release > /dev/null
  cmake --build --preset release --target "${room}_bench"
  "build/release/src/${room}_bench" "$@"
}

do_hitrates() { # [KEYS REQUESTS] of eviction policies, on each trace
  cmake --preset release > /dev/null
  cmake --build --preset release --target hitrates
  build/release/src/hitrates "$@"
}

do_bench() { # [ARGUMENT...] Onebox beside its peers; the table goes to bench/results
  exec bench/run "$@"
}

do_prove() { # queue [--seed N] [--tasks N] [--rate N] [--folder DIR] a queue that is killed all the time keeps its word
  [ "${1:-}" = queue ] || { echo "do: prove what? queue" >&2; exit 2; }
  cmake --preset release > /dev/null
  cmake --build --preset release --target onebox
  ONEBOX=build/release/bin/onebox exec $python -B test/system/queue_proof.py "${@:2}"
}

do_format() { # clang-format, over all sources
  sources | xargs clang-format -i
}

do_lint() { # [deep] clang-format, tidy.py, shellcheck, pyflakes, clang-tidy; deep: all its checks, and Clang's analyzer
  # The analyzer takes three quarters of the time. The others take a third of what is left, and say what
  # compilers say too or what is a matter of spelling.
  local checks="--checks=-clang-analyzer-*" deep
  for deep in bugprone-{assert-side-effect,multiple-statement-macro,stringview-nullptr} \
              bugprone-suspicious-{semicolon,string-compare} misc-unused-using-decls \
              modernize-use-{nullptr,using} readability-{container-size-empty,non-const-parameter} \
              "readability-redundant-*"; do
    checks+=",-$deep"
  done
  [ "${1:-}" != deep ] || checks=--checks=
  sources | xargs clang-format --dry-run -Werror
  $python tools/tidy.py
  scripts bash | xargs shellcheck -x -P SCRIPTDIR
  { git ls-files -co --exclude-standard '*.py'; scripts python3; } | sort -u | xargs pyflakes3
  cmake --preset dev > /dev/null
  # What ships; tests have two compilers' warnings and the sanitizers.
  sources | grep '\.cc$' | grep -v -e _test -e _bench -e _fuzz |
    xargs -P "$(nproc)" -n 4 clang-tidy --quiet "$checks" -p build/dev 2> build/dev/tidy.log ||
    { cat build/dev/tidy.log >&2; exit 1; }
}

do_headers() { # each header compiles by itself
  cmake --preset dev > /dev/null
  cmake --build --preset dev --target all_verify_interface_header_sets
}

do_clean() { # remove everything that the other steps made here
  git clean -fdXq
}

step=${1:-help}
if ! declare -F "do_$step" > /dev/null; then
  echo "do: no step named $step; there are:" >&2
  do_help >&2
  exit 2
fi
[ $# = 0 ] || shift
"do_$step" "$@"

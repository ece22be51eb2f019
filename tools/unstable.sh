# shellcheck shell=bash
# Sourced by get-python and get-mysql: unpacks packages of Debian unstable under a folder,
# beside the system's packages and without touching them.

unpack() { # PREFIX SUITES PACKAGE...: into PREFIX/root; sets the folder of its libraries, `lib`
  local prefix=$1 suites=$2 apt=$1/apt mirror suite package
  shift 2
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$prefix/root"
  [ -e "$apt/status" ] || : > "$apt/status"
  mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2> /dev/null |
           grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ' || true)
  for suite in $suites; do
    echo "deb ${mirror:?no Debian source is configured} $suite main"
  done > "$apt/unstable.list"
  local options=(-o "Dir::Etc::sourcelist=$apt/unstable.list" -o Dir::Etc::sourceparts=/dev/null
                 -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status"
                 -o "Dir::Cache=$apt/cache" -o Acquire::Check-Valid-Until=false
                 -o APT::Install-Recommends=false -o "APT::Sandbox::User=$(id -un)"
                 -o Debug::NoLocking=1)
  apt-get -qq "${options[@]}" update
  apt-get -qq "${options[@]}" -y --download-only install "$@" > /dev/null
  for package in "$apt"/cache/archives/*.deb; do dpkg -x "$package" "$prefix/root"; done
  rm -rf "$apt"
  # shellcheck disable=SC2034  # for the script that sources this
  lib=$prefix/root/usr/lib/$(uname -m)-linux-gnu
}

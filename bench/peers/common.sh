# shellcheck shell=bash disable=SC2034
# Shared by up.sh and down.sh: where things lie, and how processes are started and ended.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NATION=$(cd "$HERE/../../examples/nation" && pwd)
RUN=${NATION_RUN:-/tmp/nation-run}
PORT=${NATION_PORT:-18000}
APP_PORT=$PORT
WEB_PORT=$((PORT + 80))
DB_PORT=$((PORT + 306))
REDIS_PORT=$((PORT + 379))
CHAIN_PORT=$((PORT + 545))
SMTP_PORT=$((PORT + 25))
PYTHON=/usr/bin/python3  # Debian's, which has the packages
STOP_ORDER="nginx scheduler celery app fakes redis mariadb"

started_at() { # PID: when it started, which tells it from a later process of the same number
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

start() { # NAME COMMAND...
    local name=$1
    shift
    setsid "$@" >"$RUN/log/$name.log" 2>&1 </dev/null &
    echo "$! $(started_at $!)" >"$RUN/pids/$name"
}

is_up() { # NAME
    local pid began
    [ -f "$RUN/pids/$1" ] || return 1
    read -r pid began <"$RUN/pids/$1"
    [ -n "$began" ] && [ "$(started_at "$pid")" = "$began" ]
}

stop() { # NAME
    local pid began
    if is_up "$1"; then
        read -r pid began <"$RUN/pids/$1"
        kill "$pid"
        for _ in $(seq 200); do
            is_up "$1" || break
            sleep 0.1
        done
        if is_up "$1"; then
            echo "$1 (pid $pid) ignored SIGTERM for 20 s: SIGKILL" >&2
            kill -9 "$pid"
        fi
    fi
    rm -f "$RUN/pids/$1"
}

wait_for() { # NAME COMMAND...: until COMMAND succeeds, or NAME dies, or 60 s have passed
    local name=$1
    shift
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        is_up "$name" || break
        sleep 0.2
    done
    echo "$name did not come up; the end of $RUN/log/$name.log:" >&2
    tail -n 20 "$RUN/log/$name.log" >&2
    return 1
}

#!/bin/bash
# Bring up the roadmap's stack on loopback, with its own data under $NATION_RUN.
#
#   up.sh [gevent|gthread|sync|uwsgi|none] [options]      (default: gevent)
#
# none: only MariaDB and Redis with their data, for another app server.
#
#   --workers N    app server processes              (default: 2 x cores + 1)
#   --users N      players to seed                   (default: 20000)
#   --reseed       seed again, though the data is there
#   --no-indexes   seed without the 12 indexes       (implies a reseed if they are there)
#   --no-nginx     speak to the app server directly
#   --no-redis     no cache at all
#   --sqlite       SQLite in place of MariaDB: a smoke test, not for measuring
#   --literal      the roadmap's pool settings even where they contradict its MySQL settings
#   --tasks        also Celery, the scheduler, and the fake chain and mailbox
#
# Run again with other options to change the variant: the data stays. $NATION_PORT
# (18000) moves all ports. Settings for tests and tools: . $NATION_RUN/env
set -Eeuo pipefail
. "$(dirname "$0")/common.sh"

variant=gevent workers=$((2 * $(nproc) + 1)) users=20000
reseed=0 indexes=1 nginx=1 redis=1 sqlite=0 literal=0 tasks=0
while [ $# -gt 0 ]; do
    case $1 in
        gevent | gthread | sync | uwsgi | none) variant=$1 ;;
        --workers) workers=$2; shift ;;
        --users) users=$2; shift ;;
        --reseed) reseed=1 ;;
        --no-indexes) indexes=0 ;;
        --no-nginx) nginx=0 ;;
        --no-redis) redis=0 ;;
        --sqlite) sqlite=1 ;;
        --literal) literal=1 ;;
        --tasks) tasks=1 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift
done
[ "$variant" != none ] || nginx=0
[ $tasks = 0 ] || [ $redis = 1 ] || { echo "--tasks needs Redis" >&2; exit 2; }

fill_in() { # TEMPLATE TARGET
    sed -e "s|@RUN@|$RUN|g" -e "s|@STATIC@|$NATION/static|g" -e "s|@DB_PORT@|$DB_PORT|g" \
        -e "s|@APP_PORT@|$APP_PORT|g" -e "s|@WEB_PORT@|$WEB_PORT|g" -e "s|@PASS@|$pass|g" \
        "$HERE/$1" >"$RUN/$2"
}

start_mariadb() {
    fill_in my.cnf.in my.cnf
    if [ ! -d "$RUN/mysql/mysql" ]; then
        install -d -o mysql "$RUN/mysql"
        mariadb-install-db --defaults-file="$RUN/my.cnf" --skip-test-db \
            --auth-root-authentication-method=normal >"$RUN/log/mariadb-install.log" 2>&1
    fi
    start mariadb /usr/sbin/mariadbd --defaults-file="$RUN/my.cnf"
    wait_for mariadb mariadb-admin --socket="$RUN/mysql/mariadb.sock" ping
    mariadb --socket="$RUN/mysql/mariadb.sock" -e "
        CREATE DATABASE IF NOT EXISTS nation CHARACTER SET utf8mb4;
        CREATE USER IF NOT EXISTS nation@127.0.0.1 IDENTIFIED BY 'nation';
        GRANT ALL ON nation.* TO nation@127.0.0.1;"
}

start_redis() { # 4 GB in the roadmap; only keys with an expiry may go, so no Celery queue does
    start redis redis-server --bind 127.0.0.1 --port "$REDIS_PORT" --dir "$RUN" --save "" \
        --maxmemory 256mb --maxmemory-policy volatile-lru
    wait_for redis redis-cli -p "$REDIS_PORT" ping
}

seed() {
    local wanted="$users users, indexes: $indexes" mark="$RUN/seeded" option=
    [ $sqlite = 0 ] || mark=$mark-sqlite
    if [ $reseed = 0 ] && [ "$(cat "$mark" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    [ $indexes = 0 ] || option=--indexes
    # shellcheck disable=SC2086
    (cd "$NATION" && NATION_CACHE=0 $PYTHON -B seed_data.py --users "$users" --reset $option)
    [ $redis = 0 ] || redis-cli -p "$REDIS_PORT" flushall >/dev/null
    echo "$wanted" >"$mark"
}

start_app() {
    if [ "$variant" = uwsgi ]; then
        local socket="--plugin http --http-keepalive --http"
        [ $nginx = 0 ] || socket=--socket
        # shellcheck disable=SC2086
        start app uwsgi --plugin python3 --master --die-on-term --lazy-apps --need-app \
            --processes "$workers" --threads 4 --listen 1024 --disable-logging \
            --max-requests 5000 --harakiri 30 --chdir "$NATION" --module "app:create_app()" \
            $socket "127.0.0.1:$APP_PORT"
    else
        start app env NATION_BIND="127.0.0.1:$APP_PORT" NATION_WORKERS="$workers" \
            NATION_WORKER_CLASS="$variant" \
            gunicorn --chdir "$NATION" -c "$HERE/gunicorn.conf.py" "app:create_app()"
    fi
}

start_nginx() {
    mkdir -p "$RUN/nginx"
    fill_in nginx.conf.in nginx.conf
    start nginx nginx -p "$RUN" -c "$RUN/nginx.conf" -g "daemon off;"
}

start_tasks() {
    start fakes $PYTHON "$HERE/fakes.py" "$CHAIN_PORT" "$SMTP_PORT"
    cd "$NATION"
    start celery $PYTHON -B -m celery -A tasks worker --concurrency 2 --loglevel WARNING
    start scheduler $PYTHON -B jobs.py
    wait_for celery $PYTHON -B -m celery -A tasks inspect ping
    cd - >/dev/null
}

"$HERE/../../do" setup
"$HERE/down.sh"
mkdir -p "$RUN/log" "$RUN/pids" "$RUN/reports"
trap '"$HERE/down.sh"' ERR
[ -d "$NATION/static/gen" ] || $PYTHON "$NATION/make_static.py" >/dev/null

# 20 + 30 connections in each of 5 workers (9 on the roadmap's machine) exceed its
# max_connections = 200; and connections kept for 3600 s outlive its wait_timeout = 600.
overflow=$((190 / workers - 20))
overflow=$((overflow > 30 ? 30 : overflow < 0 ? 0 : overflow))
recycle=500
[ $literal = 0 ] || overflow=30 recycle=3600

database="mysql+pymysql://nation:nation@127.0.0.1:$DB_PORT/nation?charset=utf8mb4"
[ $sqlite = 0 ] || database="sqlite:///$RUN/nation.sqlite"
url=http://127.0.0.1:$APP_PORT
[ $nginx = 0 ] || url=http://127.0.0.1:$WEB_PORT
pass='proxy_pass http://flask_app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_connect_timeout 60s; proxy_read_timeout 60s;'
[ "$variant" != uwsgi ] || pass='include /etc/nginx/uwsgi_params; uwsgi_pass flask_app;'

cat >"$RUN/env" <<END
export NATION_RUN="$RUN"
export NATION_URL="$url"
export NATION_DB_URL="$database"
export NATION_CACHE=$redis
export NATION_REDIS_URL="redis://127.0.0.1:$REDIS_PORT/0"
export NATION_CHAIN_URL="http://127.0.0.1:$CHAIN_PORT"
export NATION_SMTP="127.0.0.1:$SMTP_PORT"
export NATION_REPORTS="$RUN/reports"
export NATION_BACKGROUND=$tasks
export SQLALCHEMY_POOL_SIZE=20
export SQLALCHEMY_POOL_TIMEOUT=30
export SQLALCHEMY_POOL_RECYCLE=$recycle
export SQLALCHEMY_MAX_OVERFLOW=$overflow
END
# shellcheck source=/dev/null
. "$RUN/env"
export PYTHONDONTWRITEBYTECODE=1

[ $sqlite = 1 ] || start_mariadb
[ $redis = 0 ] || start_redis
seed
[ $tasks = 0 ] || start_tasks
if [ "$variant" = none ]; then
    echo "up: no app server, redis $redis, pool 20+$overflow"
    exit
fi
start_app
[ $nginx = 0 ] || start_nginx
wait_for app curl -fs "$url/api/health"
echo "up: $variant x $workers, nginx $nginx, redis $redis, pool 20+$overflow: $url"

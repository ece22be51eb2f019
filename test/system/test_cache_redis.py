"""Do boxes that share a Redis see one cache, and go on when it does not?"""
import json
import re

import pytest

from clients import reload, upgrade
from redis_server import RedisServer
from test_cache import Call, ask, begun, call, path_of
from wire import until

TIMEOUT_SECONDS = 0.2  # of a question to Redis


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def box(serve, redis, hold):
    """box(): a box with the Redis behind its cache, when it is there and heard."""
    def make(more="", **options):
        running = serve("cached:app", environment={"HOLD": str(hold)}, **{
            "workers": 2, "toml": f'[cache]\nmemory = "8 MiB"\nredis = "{redis.url}"\n'
                                  f'redis_timeout = "{TIMEOUT_SECONDS * 1000:.0f}ms"\n{more}', **options})
        until(lambda: state(running)["trusted"], "Redis is heard")
        return running
    return make


@pytest.fixture
def boxes(box):
    return box(), box()


def state(running):
    return json.loads(ask(running, "--json").stdout)["redis"]


def sees(running, value, name, *arguments):
    until(lambda: call(running, name, *arguments) == value, f"{name}{arguments} is {value!r}")


def test_what_one_box_sets_the_other_gets_and_keeps(boxes):
    one, other = boxes
    values = {"text": "a", "number": 2**60, "json": [1, {"a": None}]}
    assert call(one, "set_many", values, ttl=60) == []
    assert call(other, "get_many", list(values)) == values
    until(lambda: call(other, "get_many", list(values)) == values and state(other)["hits"] >= 3, "read")
    hits = state(other)["hits"]
    assert call(other, "get_many", list(values)) == values
    assert state(other)["hits"] == hits  # from its own memory


@pytest.mark.parametrize("change, after", [
    (("set", "key", "new"), "new"),
    (("delete", "key"), None),
    (("purge", "tag"), None),
    (("clear",), None),
    (("replace", "key", "new"), "new"),
])
def test_what_one_box_changes_the_other_serves_no_more(boxes, change, after):
    one, other = boxes
    assert call(other, "set", "key", "old", tags=["tag"], ttl=600)
    for running in boxes:
        assert [call(running, "get", "key") for _ in range(3)] == ["old"] * 3
    call(one, *change)
    assert call(one, "get", "key") == after
    sees(other, after, "get", "key")


def test_conditions_and_counts_are_of_all_boxes(boxes):
    one, other = boxes
    assert call(one, "increment", "count", 2**53, initial=1, ttl=60) == 2**53 + 1
    assert call(other, "increment", "count", 1) == 2**53 + 2
    sees(one, 2**53 + 2, "get", "count")
    assert call(one, "increment", "none", 1) is None
    assert call(one, "add", "motd", "hello", ttl=60) is True
    assert call(other, "add", "motd", "again") is False
    assert call(other, "replace", "nothing", 1) is False
    assert call(other, "touch", "motd", 600) is True
    assert call(one, "delete", "motd") is True
    assert call(other, "delete", "motd") is False
    assert call(other, "add", "motd", "again") is True


def test_what_was_loaded_on_one_box_is_not_loaded_on_the_other(boxes):
    one, other = boxes
    assert call(one, "get_or_set", "key", "of one", ttl=600, tags=["tag"]) == "of one"
    assert call(other, "get_or_set", "key", "of other", ttl=600, tags=["tag"]) == "of one"
    call(one, "purge", "tag")
    sees(other, "of other", "get_or_set", "key", "of other")


@pytest.mark.parametrize("change", [("delete", "key"), ("set", "key", 0), ("purge", "tag")])
def test_what_changed_while_a_box_loaded_is_not_undone_by_it(boxes, hold, change):
    one, other = boxes
    loads = Call(one, "load", "key", "loader", 60, tags=["tag"])
    until(lambda: begun(hold, "loader"), "it loads")
    call(other, *change)
    (hold / "loader may end").touch()
    loaded = loads.result()
    assert call(other, "get", "key") != loaded
    assert call(one, "get", "key") != loaded


def test_one_worker_of_a_box_loads_and_the_others_wait(box, hold):
    one = box(workers=3, threads=2)
    calls = [Call(one, "load", "key", "loader", 60) for _ in range(6)]
    until(lambda: begun(hold, "loader"), "one loads")
    (hold / "loader may end").touch()
    pids = {each.result() for each in calls}
    assert len(pids) == 1 and pids == set(begun(hold, "loader"))


def test_a_redis_that_is_gone_costs_what_it_shares_and_nothing_else(boxes, redis):
    one, other = boxes
    assert call(one, "set", "key", "before", ttl=600)
    sees(other, "before", "get", "key")
    redis.kill()
    for running in boxes:
        running.wait_for_line(r"warning: the cache goes on without Redis")
        assert state(running)["state"] == "down" and not state(running)["trusted"]
        assert call(running, "get", "key") is None
    assert call(one, "set", "key", "alone", ttl=600)
    assert call(one, "get", "key") == "alone"
    assert call(one, "get_or_set", "loaded", "alone", ttl=600) == "alone"
    assert call(one, "get_or_set", "loaded", "again", ttl=600) == "alone"
    assert call(one, "increment", "count", 1, initial=0, ttl=600) == 1
    assert call(one, "increment", "count", 1, initial=0, ttl=600) == 2
    assert call(other, "get", "key") is None
    redis.start()
    for running in boxes:
        running.wait_for_line(r"info: the cache has Redis again")
    # Each worker finds its own way back.
    until(lambda: call(other, "set", "key", "behind") and call(one, "get", "key") == "behind",
          "one has what the other sets")
    until(lambda: call(one, "get_or_set", "loaded", "anew", ttl=600) == "anew"
          and call(other, "get", "loaded") == "anew", "what was alone is nobody's")


def test_a_redis_that_hangs_holds_up_nobody_for_longer_than_its_timeout(boxes, redis):
    one, other = boxes
    assert call(one, "set_many", {"deleted": 1, "set": 1, "tagged": 1}, ttl=600) == []
    assert call(one, "set", "tagged", 1, tags=["tag"], ttl=600)
    sees(other, 1, "get", "tagged")
    redis.stop()
    # All of these are answered while it hangs, or the test does not go on.
    call(one, "delete", "deleted")
    call(one, "set", "set", 2)
    call(one, "purge", "tag")
    assert call(one, "get_or_set", "loaded", 3, ttl=600) == 3
    assert [call(one, "get", key) for key in ("deleted", "tagged")] == [None, None]
    until(lambda: call(one, "set", "set", 2) and call(one, "get", "set") == 2, "it goes on alone")
    assert state(one)["untold"] > 0
    redis.go_on()
    until(lambda: state(one)["untold"] == 0, "it is told")
    for running in boxes:
        until(lambda: state(running)["trusted"], "it is back")
        for key in ("deleted", "set", "tagged"):
            assert call(running, "get", key) is None, key  # as it was before, it is nobody's


def test_a_redis_that_is_full_costs_its_room_and_nothing_else(boxes, redis):
    one, other = boxes
    assert call(one, "set", "key", "old", ttl=600)
    sees(other, "old", "get", "key")
    redis.fill()
    assert call(one, "get_or_set", "loaded", 1, ttl=600) == 1
    assert call(one, "set", "key", "new", ttl=600) is False
    assert call(one, "get", "key") is None
    sees(other, None, "get", "key")
    assert call(one, "delete", "key") is False
    assert state(one)["refusals"] > 0
    redis.make_room()
    assert call(one, "set", "key", "new", ttl=600)
    sees(other, "new", "get", "key")


def test_a_reload_and_an_upgrade_go_on_hearing(boxes):
    one, other = boxes
    for renew in (reload, upgrade, reload):
        assert renew(one).returncode == 0
        until(lambda: state(one)["trusted"], "the next front hears")
        assert call(other, "set", "key", renew.__name__)
        sees(one, renew.__name__, "get", "key")
        call(other, "set", "key", "changed")
        sees(one, "changed", "get", "key")


def test_which_redis_is_no_matter_of_a_reload(box):
    one = box()
    config = one.folder / "onebox.toml"
    config.write_text(config.read_text().replace("redis.sock", "another.sock"))
    result = reload(one)
    assert result.returncode != 0 and "[cache] redis" in result.stdout + result.stderr


def test_sessions_locks_and_limits_live_there_where_they_are_told_to(box, redis):
    kept = 'in_redis = ["sessions", "locks", "limits"]\n'
    one, other = box(kept), box(kept)
    id = call(one, "login", "ann")
    assert call(other, "session", id) == "ann"
    assert call(one, "acquire", "import") is True
    assert call(other, "acquire", "import") is False
    assert [call(running, "hit", "limit") for running in (one, other, one, other)] == [True] * 3 + [False]
    call(other, "logout", "ann")
    assert call(one, "session", id) is None
    redis.stop()
    assert one.get(path_of("session", id)).status == 500  # and not a login that is gone
    redis.go_on()
    until(lambda: one.get(path_of("session", id)).status == 200, "it is back")


def test_sessions_and_locks_are_the_boxes_own_else(boxes):
    one, other = boxes
    id = call(one, "login", "ann")
    assert call(one, "session", id) == "ann" and call(other, "session", id) is None
    assert call(one, "acquire", "import") and call(other, "acquire", "import")


def test_the_command_and_the_metrics_show_it(boxes, redis):
    one, other = boxes
    assert call(one, "set", "key", "x", tags=["tag"], ttl=600)
    assert ask(other, "get", "key").stdout == "x\n"
    said = ask(one).stdout
    assert re.search(rf"^behind it {re.escape(redis.url)}: up, what was read from it is used$", said, re.M)
    assert re.search(r"^  \d+ hits, \d+ misses, 1 writes, 0 refusals, 0 without an answer", said, re.M)
    assert one.metric("onebox_cache_redis_up") == 1 and one.metric("onebox_cache_redis_writes_total") == 1
    assert ask(other, "delete", "key").stdout == "deleted\n"
    sees(one, None, "get", "key")
    assert call(one, "set", "key", "x", tags=["tag"], ttl=600)
    ask(other, "purge", "tag")
    sees(one, None, "get", "key")


@pytest.mark.parametrize("line, said", [
    ('redis = "http://x"', "the scheme is none of"),
    ('in_redis = ["sessions"]', r"it needs \[cache\] redis"),
])
def test_mistakes_are_told(tmp_path, line, said):
    from onebox import onebox
    (tmp_path / "onebox.toml").write_text(f"[cache]\n{line}\n")
    result = onebox("run", "hello:app", "--check-config", cwd=tmp_path)
    assert result.returncode != 0
    assert re.search(said, result.stderr), result.stderr

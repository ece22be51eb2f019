"""Do several apps in one box serve beside each other, and does what befalls one leave the others alone?"""
import os
import signal
import subprocess

import pytest

from clients import pid_of, reload, upgrade, version_of
from onebox import BINARY, StartFailed
from wire import until

TOML = """
[app]
target = "versions:app"
{first}
[[app.also]]
name = "shop"
target = "{target}"
env = {{ HOLD = "{shop}" }}
{shop_keys}
[[route]]
path = "/shop/*"
app = "shop"
[[site]]
hosts = ["shop.example"]
[[site.route]]
path = "/*"
app = "shop"
"""


@pytest.fixture
def two(serve, hold, tmp_path):
    """two(**options): a server of two versions.py, of "main" and of "shop"; with `.shop`, the folder of the
    second."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (hold / "version").write_text("main")
    (shop / "version").write_text("shop")

    def start(first="", shop_keys="", target="versions:app", before=lambda shop: None, **options):
        before(shop)
        toml = TOML.format(first=first, target=target, shop=shop, shop_keys=shop_keys)
        running = serve(toml=toml, environment={"HOLD": str(hold)}, **options)
        running.shop = shop
        return running
    return start


def of_shop(running, role="app worker"):
    return [one for one in running.status()["processes"]
            if (one["role"], one["app"]) == (role, "shop") and one["state"] == "ready"]


def test_each_app_answers_by_path_and_by_host_and_is_shown(two):
    running = two(shop_keys="workers = 2\nthreads = 3")
    assert [version_of(running.get(path)) for path in ("/", "/shop/x", "/shops")] == ["main", "shop", "main"]
    assert version_of(running.get("/", "Host: shop.example")) == "shop"
    until(lambda: [one["requests"] for one in running.status()["apps"]] == [2, 2], "the front tells of its apps")
    shop = running.status()["apps"][1]
    assert (shop["name"], shop["target"], shop["workers"], shop["ready"], shop["threads"], shop["reason"]) \
        == ("shop", "versions:app", 2, 2, 3, "as set")
    assert running.metrics()['onebox_app_requests_total{app="shop"}'] == 2
    text = running.tell("status").stdout
    assert "app       shop: versions:app, 2 of 2 workers ready" in text and " of shop " in text, text


def test_an_app_below_a_prefix_is_told_where_it_is(two):
    running = two(target="below:app", shop_keys='script_name = "/shop"')
    assert running.get("/shop/a%20b?x=1").body == b"/shop|/a b|/shop/item"
    assert running.get("/", "Host: shop.example").body == b"|/|/item"


def test_a_box_does_not_start_where_one_app_cannot_be_loaded_and_says_which(two):
    with pytest.raises(StartFailed) as failed:
        two(before=lambda shop: (shop / "import").write_text("raise ValueError('no shelves')"))
    said = str(failed.value)
    assert "ValueError: no shelves" in said and "versions:app of shop could not be loaded" in said


def test_what_befalls_one_app_leaves_the_other_alone(two, hold):
    running = two()
    main, shop = pid_of(running.get("/")), pid_of(running.get("/shop/"))
    for _ in range(3):  # from the third death on it waits before it starts again
        os.kill(shop, signal.SIGKILL)
        assert pid_of(running.get("/")) == main
        before = shop
        shop = until(lambda: next((one["pid"] for one in of_shop(running) if one["pid"] != before), None),
                     "another worker of shop")
    assert version_of(running.get("/shop/")) == "shop"
    assert {one["restarts"] for one in running.status()["processes"] if one["app"] == ""} == {0}


def test_a_full_queue_of_one_app_does_not_refuse_the_others(two):
    running = two(first="queue_max = 1", threads=1, workers=1)
    with running.connect() as runs, running.connect() as waits:
        runs.request("GET", "/hold/it", "Host: shop.example")
        until((running.shop / "it.begun").exists, "shop's one thread is taken")
        waits.request("GET", "/shop/")
        until(lambda: running.metrics()['onebox_app_queue_length{app="shop"}'] == 1, "one waits for it")
        assert running.get("/shop/").status == 503
        assert version_of(running.get("/")) == "main"
        (running.shop / "it.go").touch()
        assert version_of(runs.response("GET")) == version_of(waits.response("GET")) == "shop"


def test_a_reload_is_of_all_apps_or_of_none(two, hold):
    running = two()
    (hold / "version").write_text("main2")
    (running.shop / "import").write_text("raise ValueError('no shelves')")
    result = reload(running)
    assert result.returncode == 1, result
    assert "versions:app of shop could not be loaded" in result.stderr and "no shelves" in result.stderr
    assert [version_of(running.get(path)) for path in ("/", "/shop/")] == ["main", "shop"]
    (running.shop / "import").unlink()
    (running.shop / "version").write_text("shop2")
    assert reload(running).returncode == 0
    assert [version_of(running.get(path)) for path in ("/", "/shop/")] == ["main2", "shop2"]


def test_a_reload_adds_an_app_and_takes_one_away(two):
    running = two()
    config = running.folder / "onebox.toml"
    config.write_text(config.read_text().replace('"shop"', '"store"'))
    assert reload(running).returncode == 0
    assert version_of(running.get("/shop/")) == "shop"
    until(lambda: {one["app"] for one in running.status()["processes"]} == {"", "store"}, "shop has gone")


@pytest.mark.once
def test_an_upgrade_takes_all_apps_along(two):
    running = two()
    shop = pid_of(running.get("/shop/"))
    result = upgrade(running)
    assert result.returncode == 0, result
    assert version_of(running.get("/")) == "main" and version_of(running.get("/shop/")) == "shop"
    assert pid_of(running.get("/shop/")) != shop
    until(lambda: len(running.status()["processes"]) == 7, "the processes of before have gone")


@pytest.mark.parametrize("mistake, told", [
    ('[[app.also]]\nname = "main"\ntarget = "a:b"', '[[app.also]] "main": that is the app of [app]'),
    ('[[route]]\npath = "/x"\napp = "none"', '[[route]] app: there is no [[app.also]] "none"'),
])
def test_a_configuration_with_mistakes_is_told(tmp_path, mistake, told):
    config = tmp_path / "onebox.toml"
    config.write_text(mistake)
    checked = subprocess.run([BINARY, "run", "versions:app", "--check-config", "--config", config],
                             capture_output=True, text=True, timeout=30)
    assert checked.returncode == 2 and told in checked.stderr, checked

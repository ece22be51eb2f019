"""Are Django's sessions as with its own engines, do they survive the box, and can they be ended?"""
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

DATABASE = tempfile.NamedTemporaryFile(suffix=".sqlite")
settings.configure(
    SECRET_KEY="of a test", DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=True,
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE.name}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware"],
    SESSION_ENGINE="onebox.django_sessions")
django.setup()

from django.contrib import auth  # noqa: E402: Django wants its settings first
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from onebox import django_sessions  # noqa: E402
from onebox.django_sessions import SessionStore, revoke, revoke_user  # noqa: E402
from onebox.session_database import SessionDatabase  # noqa: E402
from onebox.sessions import Sessions  # noqa: E402

between = []


def login(request, name):
    auth.login(request, auth.authenticate(request, username=name, password="a secret"))
    for each in between:
        each()
    return HttpResponse()


def logout(request):
    auth.logout(request)
    return HttpResponse()


def me(request):
    return HttpResponse(str(request.user.username))


def put(request, value):
    request.session.get("value")
    for each in between:
        each()
    request.session["value"] = value
    return HttpResponse()


def get(request):
    return HttpResponse(str(request.session.get("value")))


urlpatterns = [path("login/<name>", login), path("logout", logout), path("me", me),
               path("put/<value>", put), path("get", get)]


def setUpModule():
    call_command("migrate", verbosity=0)
    for name in ("ada", "bob"):
        User.objects.create_user(name, password="a secret")


class DjangoSessions(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name, "data")
        self.restart()
        self.client = Client(raise_request_exception=False)
        between.clear()

    def restart(self):
        if hasattr(self, "kept"):
            self.kept._cache.clear(kept=True)
            self.kept._database.close()
        self.kept = Sessions("test", database=SessionDatabase(str(self.folder), 1 << 20))
        self.addCleanup(self.kept._cache.clear, kept=True)
        patch = mock.patch.object(django_sessions, "_sessions", lambda: self.kept)
        patch.start()
        self.addCleanup(patch.stop)

    def text(self, path, client=None):
        return (client or self.client).get(path).content.decode()

    def key(self):
        return self.client.cookies["sessionid"].value

    def user(self, name):
        return User.objects.get(username=name).pk

    def test_it_keeps_what_it_was_given(self):
        self.client.get("/put/blue")
        self.assertEqual(self.text("/get"), "blue")
        self.assertEqual(self.text("/get", Client()), "None")
        self.assertTrue(SessionStore().exists(self.key()))
        self.client.get("/logout")
        self.assertEqual(self.text("/get"), "None")

    def test_it_survives_the_box(self):
        self.client.get("/login/ada")
        self.client.get("/put/blue")
        self.restart()
        self.assertEqual((self.text("/me"), self.text("/get")), ("ada", "blue"))

    def test_who_logs_in_gets_another_id(self):
        self.client.get("/put/blue")
        before = self.key()
        self.client.get("/login/ada")
        self.assertNotEqual(self.key(), before)
        self.assertEqual(self.text("/get"), "blue")
        self.assertFalse(SessionStore().exists(before))

    def test_an_id_that_we_have_not_made_is_never_taken(self):
        self.client.cookies["sessionid"] = "chosenbytheclientchosenbytheclie"
        self.client.get("/put/blue")
        self.assertNotIn("chosen", self.key())
        self.assertEqual(self.text("/get"), "blue")

    def test_what_is_revoked_is_no_more_and_stays_so(self):
        clients = {name: Client() for name in ("ada", "bob")}
        for name, client in clients.items():
            client.get(f"/login/{name}")
        self.client.get("/login/ada")
        self.client.get("/put/blue")
        self.assertTrue(revoke(self.key()))
        self.assertEqual(self.text("/me"), "")
        self.assertEqual(self.text("/me", clients["ada"]), "ada")
        revoke_user(self.user("ada"))
        for _ in range(2):
            self.assertEqual([self.text("/me", clients[name]) for name in clients], ["", "bob"])
            self.restart()
        self.client.get("/login/ada")
        self.assertEqual(self.text("/me"), "ada")

    def test_a_request_of_meanwhile_makes_nothing_anew(self):
        self.client.get("/login/ada")
        between[:] = [lambda: revoke_user(self.user("ada"))]
        self.assertEqual(self.client.get("/put/blue").status_code, 400)
        between.clear()
        self.assertEqual(self.text("/me"), "")

    def test_who_logs_in_while_all_is_revoked_is_not_let_in(self):
        between[:] = [lambda: revoke_user(self.user("ada"))]
        self.assertEqual(self.client.get("/login/ada").status_code, 400)
        between.clear()
        self.assertEqual(self.text("/me"), "")

    def test_it_ends_when_django_says(self):
        store = SessionStore()
        store["a"] = 1
        store.set_expiry(-1)
        store.save()
        self.assertFalse(SessionStore().exists(store.session_key))
        store = SessionStore()
        store["a"] = 1
        store.set_expiry(100)
        store.save()
        self.assertEqual(SessionStore(store.session_key)["a"], 1)

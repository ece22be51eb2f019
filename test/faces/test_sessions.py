"""Do sessions come back from the disk, and does nothing come back that was revoked?"""
import contextlib
import os
import resource
import signal
import sqlite3
import tempfile
import threading
import time
import unittest
import uuid
from pathlib import Path
from unittest import mock

from onebox import session_database, sessions
from onebox.cache import CacheError
from onebox.session_database import SessionDatabase
from onebox.sessions import Sessions
from processes import in_processes

DAY = 86400.0


class OnDisk(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name, "data")
        self.name = uuid.uuid4().hex
        self.kept = self.opened()
        self.told = []

        def tell(_sessions, why):
            self.told.append(str(why))
        patch = mock.patch.object(Sessions, "_tell", tell)
        patch.start()
        self.addCleanup(patch.stop)

    def opened(self, bytes_max=1 << 20):
        return Sessions(self.name, database=SessionDatabase(str(self.folder), bytes_max))

    def restart(self):
        """The box's memory is new, and so are its processes."""
        self.kept._cache.clear(kept=True)
        self.kept._database.close()
        self.kept = self.opened()

    def text(self, id):
        found = self.kept.find(id)
        return found and found.text

    def left(self, id):
        return self.kept._cache.lookup(sessions._key(id))[1]

    def files(self):
        return sorted(path.name for path in self.folder.glob("sessions-*.db"))

    def rows(self):
        return [row[0] for row in self.query("SELECT text FROM session")]

    def query(self, statement):
        with sqlite3.connect(self.folder / self.files()[-1]) as connection:
            return connection.execute(statement).fetchall()

    def login(self, user, text="{}", ttl=DAY):
        return self.kept.create(text, user=user, ttl=ttl,
                                mark=self.kept.mark(user, time.monotonic()))


class Survive(OnDisk):
    def test_a_session_is_as_it_was_saved_last(self):
        id = self.kept.create("first", ttl=DAY)
        self.restart()
        self.assertEqual(self.text(id), "first")
        self.assertTrue(self.kept.save(id, "second é \0", ttl=DAY))
        self.restart()
        self.assertEqual(self.text(id), "second é \0")
        self.assertEqual(self.told, [])

    def test_whose_it_is_and_how_long_it_lasts_too(self):
        id = self.login("7", ttl=100)
        self.restart()
        found = self.kept.find(id)
        self.assertEqual((found.user, found.mark), ("7", ""))
        self.assertTrue(90 < self.left(id) <= 100)

    def test_an_end_that_has_passed_meanwhile_holds(self):
        id = self.kept.create("text", ttl=0.2)
        self.restart()
        time.sleep(0.25)
        self.assertIsNone(self.text(id))

    def test_a_clock_that_was_set_back_lets_none_last_longer(self):
        with mock.patch("time.time", lambda: 4e9):
            id = self.kept.create("text", ttl=100)
        self.restart()
        self.assertEqual(self.text(id), "text")
        self.assertLessEqual(self.left(id), 100)

    def test_apps_are_apart(self):
        id = self.kept.create("text", ttl=DAY)
        self.kept._cache.clear(kept=True)
        other = Sessions(uuid.uuid4().hex, database=SessionDatabase(str(self.folder), 1 << 20))
        self.assertIsNone(other.find(id))

    def test_the_disk_does_not_say_the_id_and_is_its_owner_s(self):
        id = self.kept.create("text", ttl=DAY)
        for path in self.folder.iterdir():
            self.assertNotIn(id.encode(), path.read_bytes())
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o700)

    def test_requests_write_to_the_disk_now_and_then_only(self):
        id = self.kept.create("text", ttl=100)
        clock = time.time()
        expires = []
        for seconds in range(0, 40):
            with mock.patch("time.time", lambda now=clock + seconds: now):
                self.assertTrue(self.kept.touch(id, 100, self.kept.find(id)))
            expires += self.query("SELECT expires FROM session")[0]
        self.assertEqual(len(set(expires)), 4)
        self.assertGreater(expires[-1], clock + 100 + 25)

    def test_a_shorter_life_is_written_too(self):
        id = self.kept.create("text", ttl=1000)
        self.kept.touch(id, 10, self.kept.find(id))
        self.restart()
        self.assertEqual(self.text(id), "text")
        self.assertLessEqual(self.left(id), 10)

    def test_what_has_expired_is_swept(self):
        for _ in range(100):
            self.kept.create("short", ttl=0.01)
        time.sleep(0.05)
        for _ in range(20):
            self.kept.create("long", ttl=DAY)
        self.assertEqual(set(self.rows()), {"long"})

    def test_processes_write_and_load_the_same_sessions(self):
        ids = [self.kept.create(f"text {number}", ttl=DAY) for number in range(50)]
        self.restart()

        def work(number):
            kept = self.opened()
            seen = [kept.find(id).text for id in ids]
            for _ in range(20):
                kept.save(ids[number], f"saved by {number}", ttl=DAY)
            return seen, kept.create(f"of {number}", ttl=DAY)

        results = in_processes(4, work)
        self.restart()
        for number, (seen, id) in enumerate(results):
            for at, text in enumerate(seen):
                self.assertIn(text, (f"text {at}", f"saved by {at}"))
            self.assertEqual((self.text(id), self.text(ids[number])),
                             (f"of {number}", f"saved by {number}"))
        self.assertEqual(self.told, [])

    def test_both_places_have_the_same_whoever_saves(self):
        ids = [self.kept.create("", ttl=DAY) for _ in range(3)]

        def work(number):
            kept = self.opened()
            for turn in range(200):
                kept.save(ids[turn % 3], f"{number} {turn}", ttl=DAY)

        in_processes(4, work)
        before = [self.text(id) for id in ids]
        self.restart()
        self.assertEqual([self.text(id) for id in ids], before)

    def test_a_fork_opens_its_own(self):
        id = self.kept.create("text", ttl=DAY)
        in_processes(2, lambda number: self.kept.save(id, f"of {number}", ttl=DAY))
        self.restart()
        self.assertRegex(self.text(id), "of [01]")
        self.assertEqual(self.query("PRAGMA integrity_check"), [("ok",)])

    def test_a_fork_while_another_thread_writes_has_memory_alone(self):
        id = self.kept.create("text", ttl=DAY)
        inside, go_on = threading.Event(), threading.Event()

        def hold():
            with self.kept._database.writing(self.name):
                inside.set()
                go_on.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        inside.wait()
        self.addCleanup(thread.join)
        self.addCleanup(go_on.set)
        self.assertEqual(in_processes(1, lambda _: (self.kept.save(id, "forked", ttl=DAY),
                                                    self.text(id))), [(True, "forked")])


class Revoked(OnDisk):
    def test_one(self):
        ids = [self.login("7", "text") for _ in range(2)]
        self.assertIs(self.kept.revoke(ids[0]), True)
        self.assertIs(self.kept.revoke(ids[0]), False)
        self.restart()
        self.assertEqual([self.text(id) for id in ids], [None, "text"])

    def test_one_that_only_the_disk_has(self):
        ids = [self.login("7", "text") for _ in range(2)]
        self.restart()
        self.assertIs(self.kept.revoke(ids[0]), True)
        self.assertEqual([self.text(id) for id in ids], [None, "text"])

    def test_all_of_a_user_s(self):
        for restarted in (False, True):
            ids = {user: self.login(user, user) for user in ("7", "8")}
            if restarted:
                self.restart()
            self.kept.revoke_user("7", DAY)
            again = self.login("7", "again")
            for _ in range(2):
                self.assertEqual((self.text(ids["7"]), self.text(ids["8"]), self.text(again)),
                                 (None, "8", "again"))
                self.restart()
            self.kept.revoke_user("7", DAY)
            self.restart()
            self.assertIsNone(self.text(again))

    def test_who_logs_in_after_a_restart_is_not_taken_for_revoked(self):
        self.kept.revoke_user("7", DAY)
        self.restart()
        id = self.login("7", "text")
        self.assertEqual(self.text(id), "text")
        self.restart()
        self.assertEqual(self.text(id), "text")

    def test_a_revocation_of_before_the_machine_s_start_keeps_nobody_out(self):
        """The clock that it was told by began anew then."""
        with mock.patch("time.monotonic", lambda: 1e9), \
                mock.patch.object(session_database, "_this_boot", lambda: "another"):
            self.kept.revoke_user("7", DAY)
        self.restart()
        self.assertIsNotNone(self.kept.mark("7", time.monotonic()))

    def test_a_save_of_meanwhile_brings_nothing_back(self):
        for how in ("one", "all"):
            id = self.login("7", "text")
            found = self.kept.find(id)
            if how == "one":
                self.kept.revoke(id)
            else:
                self.kept.revoke_user("7", DAY)
            self.assertFalse(self.kept.save(id, "saved", user="7", mark=found.mark, ttl=DAY))
            self.assertIsNone(self.text(id))
            self.restart()
            self.assertIsNone(self.text(id))

    def test_a_save_in_the_midst_of_a_revocation_does_not_either(self):
        id, other, revoke = self.login("7", "text"), self.opened(), self.kept._revoke
        saved = []

        def and_save(*arguments):
            result = revoke(*arguments)
            saved.append(other.save(id, "saved", user="7", mark="", ttl=DAY))
            return result

        with mock.patch.object(self.kept, "_revoke", and_save):
            self.assertTrue(self.kept.revoke(id))
        self.assertEqual(saved[-1], False)
        self.assertIsNone(self.text(id))
        self.restart()
        self.assertIsNone(self.text(id))

    def test_whoever_loads_saves_and_revokes_at_the_same_time(self):
        """Each process that has revoked one looks at once, and from then on."""
        ids = [self.kept.create(f"text {number}", ttl=DAY) for number in range(120)]
        users = [self.login(f"user {number}", "text") for number in range(40)]
        self.restart()

        def work(number):
            kept = self.opened()
            back = []

            def find(id):
                while True:
                    with contextlib.suppress(CacheError):  # a disk that is slow holds the others up
                        return kept.find(id)

            for turn, id in enumerate(ids):
                if turn % 4 == number:
                    kept.revoke(id)
                    back += [id] if find(id) else []
                else:
                    found = find(id)
                    if found:
                        kept.save(id, "saved", ttl=DAY)
                        kept.touch(id, 2 * DAY, found)
            for turn, id in enumerate(users):
                found = find(id)
                if turn % 4 == number:
                    kept.revoke_user(f"user {turn}", DAY)
                    back += [id] if find(id) else []
                elif found:
                    kept.save(id, "saved", user=found.user, mark=found.mark, ttl=DAY)
            return back + [id for id in ids[number::4] + users[number::4] if find(id)]

        self.assertEqual(in_processes(4, work), [[], [], [], []])
        self.restart()
        self.assertEqual([id for id in ids + users if self.kept.find(id)], [])

    def test_a_process_that_dies_anywhere_in_it(self):
        """Whoever was told that it is revoked finds it so; and nothing is half there."""
        for after in range(1, 18):
            id = self.login("7", "text")
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                steps = [0]

                def step(*_):
                    steps[0] += 1
                    if steps[0] == after:
                        os.kill(os.getpid(), signal.SIGKILL)
                kept = self.opened()
                kept.find(id)
                kept._database._connect = _stepping(kept._database._connect, step)
                kept._database.close()  # it closes what is open
                kept.revoke(id)
                os.write(write, b"revoked")
                os._exit(0)
            os.close(write)
            os.waitpid(pid, 0)
            said = os.read(read, 10)
            os.close(read)
            here = self.text(id)
            self.restart()
            there = self.text(id)
            if said:
                self.assertEqual((here, there), (None, None))
            if here is None:
                self.assertIsNone(there, f"it comes back, killed in step {after}")


def _stepping(connect, step):
    def stepping():
        connection = connect()
        connection.set_trace_callback(step)  # before each statement
        return connection
    return stepping


class InTrouble(OnDisk):
    def test_the_file_is_bounded_and_the_rest_is_in_memory(self):
        self.kept = self.opened(bytes_max=1 << 17)
        ids = [self.kept.create("x" * 3000, ttl=DAY) for _ in range(60)]
        self.assertTrue(all(map(self.text, ids)))
        self.assertRegex(self.told[0], "full")
        self.assertLessEqual((self.folder / "sessions-1.db").stat().st_size, 1 << 17)
        self.kept.revoke_user("7", DAY)
        self.kept.revoke(ids[0])
        self.assertEqual(self.files(), ["sessions-1.db"], "there is room for that")

    def test_a_disk_that_takes_nothing_more(self):
        """A limit of the process stands for it: writing fails."""
        ids = [self.login("7", "x" * 2000) for _ in range(3)] + [self.login("8", "text")]

        def work(_):
            kept = self.opened()
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            new = kept.create("y" * 2000, ttl=DAY)
            kept._database._rests_until = 0.0
            kept.save(ids[0], "z" * 2000, user="7", mark="", ttl=DAY)
            seen = [kept.find(id).text[0] for id in (new, *ids)]
            kept.revoke(ids[1])
            kept.revoke_user("8", DAY)
            return seen, new, [kept.find(id) and "there" for id in (new, *ids)], self.told

        [(seen, new, after, told)] = in_processes(1, work)
        self.assertEqual((seen, after), (["y", "z", "x", "x", "t"],
                                         ["there", "there", None, "there", None]))
        self.assertRegex(told[0], "sessions-1.db: disk I/O error")
        self.assertEqual([self.text(id) and "there" for id in (new, *ids)], after)
        self.restart()
        self.assertIsNone(self.text(ids[1]), "what could not be revoked there does not count there")
        self.assertIsNone(self.text(ids[3]))

    def test_who_is_in_memory_is_written_again_to_the_next_file(self):
        id = self.kept.create("text", ttl=DAY)
        self.kept._database.begin_anew()
        self.kept.touch(id, DAY, self.kept.find(id))
        self.restart()
        self.assertEqual(self.text(id), "text")
        self.assertEqual(self.files(), ["sessions-2.db"])

    def test_a_damaged_file_is_set_aside(self):
        for damage in (lambda path: path.write_bytes(b"no database" * 1000),
                       lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40_000),
                       self.without_tables, self.of_another_version):
            with self.subTest(damage):
                id = self.kept.create("text", ttl=DAY)
                self.restart()
                before = self.files()[-1]
                damage(self.folder / before)
                self.assertIsNone(self.text(id))
                self.assertRegex(self.told[-1], f"{before}: .*; it is set aside, and .* begun")
                self.kept._database._rests_until = 0.0
                id = self.kept.create("after", ttl=DAY)
                self.restart()
                self.assertEqual(self.text(id), "after")
                self.assertEqual(self.files()[-2], before)
                self.assertEqual(len(self.files()), 2)

    @staticmethod
    def without_tables(path):
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE session")

    @staticmethod
    def of_another_version(path):
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")

    def locked(self):
        holder = sqlite3.connect(self.folder / self.files()[-1], isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        self.addCleanup(holder.close)
        return holder

    def test_a_file_that_another_holds(self):
        id, loaded = self.kept.create("text", ttl=DAY), self.kept.create("loaded", ttl=DAY)
        self.restart()
        self.assertEqual(self.text(loaded), "loaded")
        holder = self.locked()
        began = time.monotonic()
        self.assertTrue(self.kept.save(loaded, "saved", ttl=DAY))
        new = self.kept.create("new", ttl=DAY)
        self.assertEqual((self.text(loaded), self.text(new)), ("saved", "new"))
        self.assertRaises(CacheError, self.text, id)
        self.assertLess(time.monotonic() - began, 10)
        self.assertIn("locked", self.told[0])
        holder.execute("COMMIT")
        self.assertEqual(self.text(id), "text")
        self.kept._database._rests_until = 0.0
        self.kept.touch(new, DAY, self.kept.find(new))
        self.restart()
        self.assertEqual(self.text(new), "new")

    def test_a_revocation_does_not_wait_for_ever(self):
        ids = [self.login("7", "text") for _ in range(2)]
        self.locked()
        self.assertTrue(self.kept.revoke(ids[0]))
        self.assertEqual([self.text(id) for id in ids], [None, "text"])
        self.restart()
        self.assertIsNone(self.text(ids[0]))

    def test_who_has_the_file_of_before_open_sees_that_it_counts_no_more(self):
        for keep in (False, True):
            id = self.login("7", "text")
            other = self.opened()
            self.assertIsNone(other.find("unknown"), "it is open")
            self.kept._database._begin_after(self.kept._database.number, keep=keep)
            self.kept._database.close()
            self.kept.revoke(id)
            self.kept._cache.clear(kept=True)
            self.assertIsNone(other.find(id))

    def test_a_revocation_that_cannot_last_is_an_error_and_holds_meanwhile(self):
        id = self.login("7", "text")
        holder = self.locked()
        with mock.patch.object(session_database, "_make", side_effect=OSError(30, "Read-only")):
            self.assertRaisesRegex(CacheError, "only until the box ends", self.kept.revoke, id)
        holder.execute("COMMIT")
        self.assertIsNone(self.text(id))
        self.assertIsNone(self.opened().find(id))

    def test_a_folder_that_cannot_be_used_leaves_all_in_memory(self):
        self.folder.write_text("no folder")
        id = self.login("7", "text")
        self.assertEqual(self.text(id), "text")
        self.assertTrue(self.kept.save(id, "saved", user="7", mark="", ttl=DAY))
        self.assertTrue(self.kept.touch(id, DAY, self.kept.find(id)))
        self.assertIsNone(self.text("unknown"))
        self.assertTrue(self.kept.revoke(id))
        self.kept.revoke_user("7", DAY)
        self.assertRegex(self.told[0], "sessions-1.db: .*File exists")

    def test_files_that_somebody_removes_are_begun_anew(self):
        self.kept.create("text", ttl=DAY)
        for path in self.folder.iterdir():
            path.unlink()
        id = self.kept.create("text", ttl=DAY)
        self.restart()
        self.assertEqual(self.text(id), "text")

    def test_the_log_says_it_once(self):
        mock.patch.stopall()
        self.folder.write_text("no folder")
        with mock.patch("builtins.print") as printed:
            for _ in range(3):
                self.kept.create("text", ttl=DAY)
                self.kept._database._rests_until = 0.0
        self.assertEqual(printed.call_count, 1)
        self.assertIn("sessions are in memory alone", printed.call_args[0][0])

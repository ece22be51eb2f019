"""Is a task in the outbox when, and only when, the app's transaction is committed, whichever way it speaks to
its database? DB_PORT, DB_USER, DB_PASSWORD and DB_NAME say where that is."""
import json
import os
import sqlite3
import unittest
from contextlib import closing

import django
import MySQLdb
import pymysql
import sqlalchemy
from django.conf import settings
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from onebox import outbox

PLACE = {"host": "127.0.0.1", "port": int(os.environ["DB_PORT"]), "user": os.environ["DB_USER"],
         "password": os.environ["DB_PASSWORD"], "database": os.environ["DB_NAME"]}
URL = ("mysql+{}://{user}:{password}@{host}:{port}/{database}").format
TASK = {"name": "app.send", "payload": "[\"\u00e9 \U0001f35e '\\\" % %s :x ?\"]", "countdown": 1.5}

settings.configure(DATABASES={"default": {
    "ENGINE": "django.db.backends.mysql", "HOST": PLACE["host"], "PORT": PLACE["port"], "USER": PLACE["user"],
    "PASSWORD": PLACE["password"], "NAME": PLACE["database"]}})
django.setup()


class Enqueue(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.observer = pymysql.connect(**PLACE, autocommit=True)
        with cls.observer.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS onebox_outbox, purchase")
            cursor.execute(outbox.CREATE_TABLE)
            cursor.execute("CREATE TABLE purchase (id INT PRIMARY KEY)")

    @classmethod
    def tearDownClass(cls):
        cls.observer.close()

    def tasks(self):
        """Those that are committed, and takes them out."""
        with self.observer.cursor() as cursor:
            cursor.execute("SELECT task FROM onebox_outbox ORDER BY id")
            found = [json.loads(row[0]) for row in cursor.fetchall()]
            cursor.execute("DELETE FROM onebox_outbox")
            cursor.execute("DELETE FROM purchase")
        return found

    def committed(self):
        """How many there are, without waiting for anybody's lock."""
        with self.observer.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM onebox_outbox")
            return cursor.fetchone()[0]

    def holds(self, connection, commit, rollback):
        outbox.enqueue(connection, TASK)
        rollback()
        self.assertEqual(self.tasks(), [])
        outbox.enqueue(connection, TASK)
        self.assertEqual(self.committed(), 0)
        outbox.enqueue(connection, {"name": "b", "payload": ""})
        commit()
        self.assertEqual(self.tasks(), [TASK, {"name": "b", "payload": ""}])

    def test_drivers(self):
        for driver in (pymysql, MySQLdb):
            for charset in ("utf8mb4", "latin1"):
                with self.subTest(driver.__name__, charset=charset):
                    with closing(driver.connect(**PLACE, charset=charset)) as connection:
                        self.holds(connection, connection.commit, connection.rollback)
                        with closing(connection.cursor()) as cursor:
                            self.holds(cursor, connection.commit, connection.rollback)

    def test_sqlalchemy(self):
        for driver in ("pymysql", "mysqldb"):
            with self.subTest(driver):
                engine = sqlalchemy.create_engine(URL(driver, **PLACE))
                with engine.connect() as connection:
                    transaction = connection.begin()
                    outbox.enqueue(connection, TASK)
                    transaction.rollback()
                    self.assertEqual(self.tasks(), [])
                    with connection.begin():
                        outbox.enqueue(connection, TASK)
                    self.assertEqual(self.tasks(), [TASK])
                with Session(engine) as session:
                    self.holds(session, session.commit, session.rollback)
                scoped = scoped_session(sessionmaker(engine))  # Flask-SQLAlchemy's db.session is one
                self.holds(scoped, scoped.commit, scoped.rollback)
                scoped.remove()
                engine.dispose()

    def test_a_session_that_fails_takes_the_task_with_it(self):
        engine = sqlalchemy.create_engine(URL("pymysql", **PLACE))
        purchase = sqlalchemy.text("INSERT INTO purchase VALUES (1)")
        with self.assertRaises(sqlalchemy.exc.IntegrityError), Session(engine) as session, session.begin():
            session.execute(purchase)
            outbox.enqueue(session, TASK)
            session.execute(purchase)
        self.assertEqual(self.tasks(), [])
        engine.dispose()

    def test_django(self):
        from django.db import connection, connections, transaction

        for one in (connection, connections["default"]):
            with self.assertRaises(ZeroDivisionError), transaction.atomic():
                outbox.enqueue(one, TASK)
                raise ZeroDivisionError
            self.assertEqual(self.tasks(), [])
            with transaction.atomic():
                outbox.enqueue(one, TASK)
                self.assertEqual(self.committed(), 0)
            self.assertEqual(self.tasks(), [TASK])
            with connection.cursor() as cursor:
                outbox.enqueue(cursor, TASK)
            self.assertEqual(self.tasks(), [TASK], "without a transaction each statement is one")
        connection.close()

    def test_a_driver_with_other_marks(self):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE TABLE onebox_outbox (task TEXT)")
            outbox.enqueue(connection, TASK)
            outbox.enqueue(connection.cursor(), TASK)
            rows = connection.execute("SELECT task FROM onebox_outbox").fetchall()
        self.assertEqual([json.loads(row[0]) for row in rows], [TASK, TASK])

    def test_what_is_no_task_is_told_at_once(self):
        for task, error, words in (
                ({"payload": ""}, TypeError, "name is None"),
                ({"name": "a", "payload": b""}, TypeError, "payload is b''"),
                ({"name": "a", "payload": "", "eta": object()}, TypeError, "not JSON serializable"),
                ({"name": "a", "payload": "", "eta": float("nan")}, ValueError, "Out of range"),
                ({"name": "a", "payload": "x" * outbox.BYTES_MAX}, ValueError, "at most are taken")):
            with self.subTest(words), self.assertRaisesRegex(error, words):
                outbox.enqueue(self.observer, task)
        with self.assertRaisesRegex(TypeError, "int is none of"):
            outbox.enqueue(17, TASK)
        self.assertEqual(self.tasks(), [])


if __name__ == "__main__":
    unittest.main()

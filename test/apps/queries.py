"""An app whose database is told what each request has left."""
import os
import threading

import sqlalchemy

import onebox

LIMIT = os.environ.get("LIMIT", "max_statement_time")  # MariaDB's, in seconds; or MySQL's
FIVE_SECONDS = 5 if LIMIT == "max_statement_time" else 5000
ENGINES = {own: sqlalchemy.create_engine(os.environ["DB_URL"], pool_size=1, max_overflow=0,
                                         connect_args={"init_command": own})
           for own in (f"SET SESSION {LIMIT} = 0", f"SET SESSION {LIMIT} = {FIVE_SECONDS}")}
for engine in ENGINES.values():
    onebox.limit_queries(engine)
PLAIN, LIMITED = ENGINES.values()


def ask(statement, engine=PLAIN):
    with engine.connect() as connection:
        return connection.exec_driver_sql(statement).scalar()


def outside(statement):
    """By a thread that runs no request, with the same connection."""
    found = []
    thread = threading.Thread(target=lambda: found.append(ask(statement)))
    thread.start()
    thread.join()
    return found[0]


def app(environ, start_response):
    limit = f"SELECT @@SESSION.{LIMIT}"
    text = {"/sleep": lambda: ask("SELECT SLEEP(30)"),
            "/limit": lambda: ask(limit),
            "/limit/5": lambda: ask(limit, LIMITED),
            "/outside": lambda: outside(limit)}[environ["PATH_INFO"]]()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(text).encode()]

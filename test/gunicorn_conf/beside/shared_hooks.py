"""Hooks that some of the files import."""


def post_fork(server, worker):
    server.log.info("worker %s", worker.pid)


def worker_exit(server, worker):
    server.log.info("worker %s has begun %s requests", worker.pid, worker.nr)

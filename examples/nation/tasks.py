#!/usr/bin/python3
"""The background tasks of app/tasks.py beside a server other than Onebox, by Celery + Redis.

    celery -A tasks worker        runs them (bench/peers/up.sh --tasks)
    python3 tasks.py              queues one of each and prints the results
"""
from celery import Celery

from app import create_app, tasks
from app.orders import order_nft

flask_app = create_app()
celery = Celery("nation", broker=flask_app.config["CELERY_BROKER"],
                backend=flask_app.config["CELERY_BACKEND"])


def task(function):
    """A Celery task that runs inside the app's context."""
    def run(*arguments):
        with flask_app.app_context():
            return function(*arguments)
    return celery.task(run, name=function.__name__)


mint_nft, send_email, reprice_markets = map(
    task, (tasks.mint_nft, tasks.send_email, tasks.reprice_markets))


@task
def economy_report():
    return tasks.write_report([tasks.country_figures(tasks.country_ids())])


def main():
    with flask_app.app_context():
        order = order_nft(1, "production")["order_id"]
    queued = [mint_nft.delay(order), send_email.delay(1, "Hello", "From the nation."),
              economy_report.delay(), reprice_markets.delay()]
    for result in queued:
        print(result.get(timeout=60))


if __name__ == "__main__":
    main()

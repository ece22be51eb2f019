"""The same for Celery: at its best for short tasks that are not to be lost. Redis is at $REDIS_SOCKET."""
import os

from celery import Celery

app = Celery("celery_tasks", broker=f"redis+socket://{os.environ['REDIS_SOCKET']}")
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=64,
                worker_send_task_events=False, broker_transport_options={"visibility_timeout": 3600})


@app.task
def nothing(number):
    pass

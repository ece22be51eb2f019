"""Tasks of an app on Django."""
from django.tasks import task

calls = []


class Odd(Exception):
    pass


@task
def add(a, b=1):
    calls.append((a, b))
    return a + b


@task(queue_name="mail", priority=50, retries=2, timeout=5)
def send(to):
    return {"to": to}


@task(takes_context=True)
def contextual(context, word):
    return [word, context.attempt, context.task_result.id, context.task_result.args]


@task
async def asynchronous(word):
    return word.upper()


@task(retries=2)
def fails(times):
    calls.append(times)
    if len(calls) <= times:
        raise Odd("on attempt\n%d" % len(calls))
    return len(calls)


@task
def no_json():
    return object()

"""Processes that enqueue trivial tasks, one call after the other, each when the one before is durable.

    python3 queue_client.py onebox|celery PROCESSES TASKS

Prints JSON: the seconds from the first call to the end of the last, and the processes' CPU seconds. Runs by
itself: bench/harness/queues.py starts it.
"""
import json
import os
import sys
import time


def connect(which):
    if which == "onebox":
        from trivial_tasks import nothing
        return nothing.delay
    from celery_tasks import nothing
    return nothing.delay


def enqueue(which, number, tasks, ready, go):
    """In a process of its own: connects, says so, waits for the others."""
    delay = connect(which)
    delay(-1)
    ready.write(b"r")
    go.read(1)
    began, cpu = time.monotonic(), time.process_time()
    for task in range(tasks):
        delay(number * tasks + task)
    return began, time.monotonic(), time.process_time() - cpu


def main():
    which, processes, tasks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    ready_end, ready = os.pipe()
    go_end, go = os.pipe()
    ends = []
    for number in range(processes):
        end, said = os.pipe()
        if os.fork() == 0:
            os.close(go)
            with open(ready, "wb", buffering=0) as is_ready, open(go_end, "rb", buffering=0) as may_go:
                found = enqueue(which, number, tasks // processes, is_ready, may_go)
            os.write(said, json.dumps(found).encode())
            os._exit(0)
        os.close(said)
        ends.append(end)
    os.close(ready)
    count = 0
    while count < processes:
        piece = os.read(ready_end, processes)
        if not piece:
            sys.exit("not all could connect")
        count += len(piece)
    os.close(go_end)
    os.close(go)  # its end is what they wait for
    found = [json.loads(os.read(end, 1000)) for end in ends]
    for _ in ends:
        os.wait()
    print(json.dumps({"seconds": max(row[1] for row in found) - min(row[0] for row in found),
                      "cpu": sum(row[2] for row in found)}))


main()

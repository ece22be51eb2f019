"""Work that several processes do at the same time, each a fork of the test's own."""
import os
import pickle
import traceback


def in_processes(count, work):
    """What work(number) returns in each; they begin together. Fails where one of them does."""
    start_read, start_write = os.pipe()
    children = []
    for number in range(count):
        result_read, result_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(start_write)
                os.read(start_read, 1)  # until it is closed
                with os.fdopen(result_write, "wb") as file:
                    pickle.dump(work(number), file)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(result_write)
        children.append((pid, result_read))
    os.close(start_read)
    os.close(start_write)
    results = []
    for pid, result_read in children:
        with os.fdopen(result_read, "rb") as file:
            answer = file.read()
        _, status = os.waitpid(pid, 0)
        assert status == 0, f"the process ended with {status}"
        results.append(pickle.loads(answer))
    return results

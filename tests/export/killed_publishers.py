"""Kill publishers at seeded random moments, check the folder after each kill, and print the results as JSON.

A program of its own: it forks, which a process with TensorFlow's threads must not.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from stand_ins import write_version

from keras_vae.export.manifest import check_manifest
from keras_vae.export.publish import list_versions, publish

FILES = 20


def write(folder, version):
    write_version(folder, version, FILES)


def run_publisher(root, before):
    """Publish a version in a separate process that calls ``before`` first; returns its exit status."""
    child = os.fork()
    if child == 0:
        before()
        publish(root, None, write, check_manifest)
        os._exit(0)
    return child


def die_at_line(number):
    """Kill this process at the ``number``-th line of Python from here."""
    left = number

    def trace(frame, event, argument):
        nonlocal left
        left -= event == "line"
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def count_lines(root):
    """How many lines of Python a publication executes."""
    lines = 0

    def trace(frame, event, argument):
        nonlocal lines
        lines += event == "line"
        return trace

    sys.settrace(trace)
    publish(root, None, write, check_manifest)
    sys.settrace(None)
    return lines


def what_is_left(root):
    """Whether anything is unfinished, and the number of versions, after checking each."""
    versions = list_versions(root)
    for version in versions:
        assert check_manifest(root / str(version)).version == version
    return any(path.name.startswith(".") for path in root.iterdir()), len(versions)


def main(root, kills):
    moments = random.Random(0)
    lines = count_lines(root)
    begin = time.perf_counter()
    publish(root, None, write, check_manifest)
    duration = time.perf_counter() - begin
    unfinished, done = 0, {"killed": 0, "alive": 0}
    for index in range(kills):
        if index % 2:  # between two lines of Python
            # Half of these near the renaming, which comes last.
            line = moments.randrange(1 if index % 4 == 1 else int(0.97 * lines), lines)
            child = run_publisher(root, lambda line=line: die_at_line(line))
        else:  # anywhere, also within a system call
            child = run_publisher(root, lambda: None)
            time.sleep(moments.uniform(0, 1.2 * duration))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        done["killed" if os.WIFSIGNALED(status) else "alive"] += 1
        is_unfinished, versions = what_is_left(root)
        unfinished += is_unfinished
    publish(root, None, write, check_manifest)
    is_swept = not what_is_left(root)[0]
    print(json.dumps({**done, "unfinished": unfinished, "versions": versions, "is_swept": is_swept}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

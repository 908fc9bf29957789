"""The log of a training run: on the terminal and, added to, in a file of the cache folder."""
import os
import time
from contextlib import contextmanager


@contextmanager
def run_log(folder, name):
    """A function that writes one line with the time before it."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "a", encoding="utf8") as kept:
        def log(line):
            line = f"{time.strftime('%H:%M:%S')} {line}"
            print(line, flush=True)
            print(line, file=kept, flush=True)

        yield log

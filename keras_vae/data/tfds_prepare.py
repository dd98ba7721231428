"""Downloading a TFDS data set, after checking that its source answers.

Without a network TFDS retries for minutes and leaves folders behind, hence the check.
"""

import contextlib
import os
import queue
import shutil
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from keras_vae.errors import InputError

PROBE_SECONDS = 3.0
_TFDS_STORAGE = "https://storage.googleapis.com/tfds-data/dataset_info/mnist/3.0.1/dataset_info.json"


class SourceUnavailableError(InputError):
    """The data set is not prepared here and cannot be fetched now. ``reason`` is the message without the advice."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}; {advice}")
        self.reason = reason


def prepare(builder: Any, name: str, say: Callable[[str], None]) -> None:
    """Download and prepare the data set of a TFDS builder in its data_dir. ``name`` is the user's name for it.

    Raises:
        SourceUnavailableError: when the source does not answer within a few seconds, or TFDS fails. No empty or
            temporary folder is left behind.
    """
    import tensorflow_datasets as tfds  # deferred: only TFDS data sets need it

    root = Path(builder.data_dir_root)
    advice = "connect to the network, or give --data-dir or TFDS_DATA_DIR where it is prepared"
    if instructions := builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        first_line = next(line.strip() for line in instructions.splitlines() if line.strip())
        raise SourceUnavailableError(
            f"{name} is not prepared in {root} and has to be downloaded by hand ({first_line})",
            "prepare it with TFDS, then give --data-dir or TFDS_DATA_DIR",
        )
    urls = _one_url_a_host(builder.url_infos or [_TFDS_STORAGE])
    if not any_answers(list(urls.values()), PROBE_SECONDS):
        raise SourceUnavailableError(f"{name} is not prepared in {root} and {', '.join(urls)} does not answer", advice)
    say(f"downloading {name} from {', '.join(urls)} into {root}")
    # Not from TFDS's own bucket, since only the source itself was checked.
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        # TFDS prints to standard output, which is reserved for the results of commands.
        with _removing_empty_folders(root), contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare(download_config=config)
    except Exception as error:  # TFDS runs the data set's own code: anything may come
        reason = f"{name} could not be prepared in {root} ({type(error).__name__}: {one_line(error)})"
        raise SourceUnavailableError(reason, advice) from error


def any_answers(urls: list[str], seconds: float) -> bool:
    """Whether any of the URLs answers successfully within the given seconds in total."""
    # Threads, because a socket's time-out does not bound the look-up of the host name.
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    for url in urls:
        threading.Thread(target=lambda url=url: answers.put(_answers(url, seconds)), daemon=True).start()
    deadline = time.monotonic() + seconds
    with contextlib.suppress(queue.Empty):
        return any(answers.get(timeout=max(0.0, deadline - time.monotonic())) for _ in urls)
    return False


def _answers(url: str, seconds: float) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=seconds):
            return True
    except Exception:  # no answer, a refusal and an unusable URL are all the same here
        return False


def one_line(error: BaseException) -> str:
    """The first line of an exception's message, cut to a readable length."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else "no message"


def _one_url_a_host(urls: Any) -> dict[str, str]:
    """At most four hosts, each with its first URL."""
    by_host: dict[str, str] = {}
    for url in urls:
        by_host.setdefault(urllib.parse.urlsplit(url).hostname or url, url)
    return dict(list(by_host.items())[:4])


@contextlib.contextmanager
def _removing_empty_folders(root: Path) -> Iterator[None]:
    """If the block fails, remove the folders under ``root`` that it made, as far as they are empty or temporary."""
    before = set(_folders(root))
    try:
        yield
    except BaseException:
        for folder in sorted(set(_folders(root)) - before, reverse=True):  # children before their parents
            if ".tmp." in folder.name:
                shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _folders(root: Path) -> list[Path]:
    return [Path(folder) for folder, _, _ in os.walk(root)]

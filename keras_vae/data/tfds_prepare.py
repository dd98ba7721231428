"""Downloading a TFDS data set, only after its source was seen to answer.

TFDS itself retries for minutes without a network and leaves folders behind, so we ask first.
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
    """The data set is not prepared here and cannot be fetched now; ``reason`` says so without the advice."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}; {advice}")
        self.reason = reason


def prepare(builder: Any, name: str, say: Callable[[str], None]) -> None:
    """Downloads and prepares the data set of a TFDS builder, called ``name`` by the user, in its data_dir.

    Raises:
        SourceUnavailableError: when the source does not answer within a few seconds, or TFDS fails; no empty
            or temporary folder is left behind.
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
    # Not from TFDS's own bucket: only the source itself was seen to answer.
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        # TFDS prints to standard output, which belongs to the caller's own results.
        with _removing_empty_folders(root), contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare(download_config=config)
    except Exception as error:  # TFDS runs the data set's own code: anything may come
        reason = f"{name} could not be prepared in {root} ({type(error).__name__}: {one_line(error)})"
        raise SourceUnavailableError(reason, advice) from error


def any_answers(urls: list[str], seconds: float) -> bool:
    """Whether any of the URLs answers a request with success within so many seconds in all."""
    # Threads, because the time-out of a socket does not bound the look-up of its host's name.
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
    except Exception:  # no answer, a refusal, or a URL that cannot be asked: all the same here
        return False


def one_line(error: BaseException) -> str:
    """The first line of an exception's message, cut to a readable length."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else "no message"


def _one_url_a_host(urls: Any) -> dict[str, str]:
    """At most four hosts, each with the first URL on it."""
    by_host: dict[str, str] = {}
    for url in urls:
        by_host.setdefault(urllib.parse.urlsplit(url).hostname or url, url)
    return dict(list(by_host.items())[:4])


@contextlib.contextmanager
def _removing_empty_folders(root: Path) -> Iterator[None]:
    """On failure, removes the folders under ``root`` that the block made, if they are empty or temporary."""
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

"""Run commands of keras-vae at a size that takes seconds.

``python reduced_commands.py train --latent 2`` runs one. Without arguments it reads a command a line, and one process
runs them all: starting TensorFlow takes more time than most of them. Pictures take two fifths of a training, and no
document uses them: with ``--draw`` the first training alone has some.
"""

import glob
import os
import shlex
import sys

# Options appended to a command. The last value of an option counts.
_SMALL_MODEL = (
    *("--epochs", "1", "--batch-size", "60", "--widths", "8,8", "--groups", "4", "--mapping-layers", "0"),
    *("--attention-resolution", "0", "--no-generative-skips", "--adversarial-weight", "0", "--perceptual-weight", "0"),
    *("--optimizer", "adamw"),
)
# A model that exists has its own architecture.
_SMALL_TUNING = ("--epochs", "1", "--batch-size", "20", "--perceptual-weight", "0", "--adversarial-weight", "0")
REDUCED = {
    "train": _SMALL_MODEL,
    # Exporting is a command of its own, and a second size takes as long as the first.
    "experiment": (*_SMALL_MODEL, "--latents", "2", "--no-export"),
    "fit-prior": ("--epochs", "1"),
    "evaluate": ("--importance-samples", "2"),
    "sample": ("--count", "16"),
    # One detector of three; tests/end_to_end has all.
    "score": ("--method", "padim"),
}
# A pattern stands for at most this many files.
MOST_FILES = 8


def as_a_shell_splits(line):
    """The words of a line, patterns of files that exist replaced by a few of these files."""
    return [match for word in shlex.split(line) for match in sorted(glob.glob(word))[:MOST_FILES] or [word]]


def reduced(words):
    """A command's words with options that make it smaller; batch jobs and what is kept stay as they are."""
    if "--beam" in words or "--use-scorer" in words:
        return words
    if "--resume" in words:
        return [*words, "--epochs", "2"] if "--epochs" in words else words
    if "--from" in words:
        # Photographs of the size that a diffusion model has would take minutes.
        return [*words, *_SMALL_TUNING, *(("--image-size", "32x32") if "folder:photos" in words else ())]
    return [*words, *REDUCED.get(words[0], ())]


def main():
    """Run one command, or those of stdin until one fails."""
    # Otherwise training would start this process again, with its first command.
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    from keras_vae_cli.main import main as keras_vae

    draws = sys.argv[1:] == ["--draw"]
    one = [] if draws else sys.argv[1:]
    for words in [one] if one else [as_a_shell_splits(line)[1:] for line in sys.stdin]:
        is_without = words[0] == "train" and "--resume" not in words and not draws
        sys.argv = ["keras-vae", *reduced(words), *(["--no-pictures"] if is_without else [])]
        print("+", shlex.join(sys.argv), file=sys.stderr, flush=True)
        try:
            keras_vae()
        except SystemExit as end:
            if end.code:
                raise
        draws &= words[0] != "train"


if __name__ == "__main__":
    main()

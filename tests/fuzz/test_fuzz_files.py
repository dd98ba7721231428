"""Damaged and hostile files are read or refused in one line: ``pytest tests/fuzz --hypothesis-profile fuzz``.

Any exception from a reader other than `InputError` fails these tests.
"""

import gzip
import hashlib
import io
import json
import shutil
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from damage import any_json, damaged, damaged_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_inception import make_graph
from PIL import Image

from keras_vae.config import DataConfig, RunConfig
from keras_vae.data import load_dataset
from keras_vae.data.framing import Framing
from keras_vae.data.idx import read_idx
from keras_vae.data.image_file import EXTENSIONS, read_image
from keras_vae.errors import InputError
from keras_vae.metrics import InceptionFeatures
from keras_vae.models import VAE
from keras_vae.reports.runs import read_runs
from keras_vae.training import build_trainer
from keras_vae.training.checkpoints import Position, restore_checkpoint, save_checkpoint
from keras_vae.training.run_directory import RunDirectory, read_config
from keras_vae.training.saving import load_model, save_model

LIMIT = 1 << 22
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_one_line(error, path):
    assert str(path) in str(error)
    assert "\n" not in str(error)


def idx_bytes():
    return b"\0\0\x08\x03" + struct.pack(">III", 12, 5, 4) + bytes(range(240))


@one_folder
@given(content=st.one_of(damaged(idx_bytes()), damaged(gzip.compress(idx_bytes(), mtime=0)), st.binary(max_size=64)))
def test_idx_files(tmp_path, content):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        images = read_idx(path, 3, LIMIT)
        assert images.dtype == np.uint8
        assert images.ndim == 3
    except InputError as error:
        assert_one_line(error, path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 << 20


def picture_bytes(kind, mode, **options):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 4), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


PICTURES = [
    *(picture_bytes("PNG", mode) for mode in ("L", "LA", "RGBA", "P", "I;16", "1")),
    *(picture_bytes("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
    *(picture_bytes(kind, "RGB") for kind in ("BMP", "GIF", "WEBP")),
    *(picture_bytes("TIFF", mode) for mode in ("L", "RGBA", "P", "I;16", "1")),
    *(picture_bytes("TIFF", "RGB", compression=f"tiff_{name}") for name in ("lzw", "adobe_deflate")),
    *(picture_bytes("AVIF", mode) for mode in ("RGB", "RGBA") if ".avif" in EXTENSIONS),
]


@one_folder
@given(
    content=st.sampled_from(PICTURES).flatmap(damaged),
    channels=st.sampled_from((1, 3)),
    fit=st.sampled_from(("crop", "pad", "stretch")),
    bit_depth=st.integers(8, 16),
)
def test_image_files(tmp_path, content, channels, fit, bit_depth):
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    try:
        pixels = read_image(path, Framing((8, 6, channels), fit, 10_000, bit_depth))
        assert pixels.shape == (8, 6, channels)
        assert pixels.dtype == np.uint8
    except InputError as error:
        assert_one_line(error, path)


@one_folder
@given(data=st.data())
def test_folders_of_images(tmp_path, data):
    shutil.rmtree(tmp_path / "images", ignore_errors=True)
    for index in range(data.draw(st.integers(0, 4), "files")):
        parent = data.draw(
            st.sampled_from((".", "train", "test", "a", "a/b", "train/a", ".hidden", "\udcfe\n")), "parent"
        )
        name = data.draw(st.sampled_from((f"{index}.png", f"{index}.txt", f"{index}.png.gz", "\udcff.JPG")), "name")
        content = data.draw(st.one_of(st.sampled_from(PICTURES), st.sampled_from(PICTURES).flatmap(damaged)), "content")
        path = tmp_path / "images" / parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    config = DataConfig(dataset=f"folder:{tmp_path / 'images'}", image_size=(8, 8), channels=1)
    try:
        dataset = load_dataset(config, say=lambda line: None)
        assert dataset.image_shape == (8, 8, 1)
    except InputError as error:
        assert_one_line(error, tmp_path / "images")


@one_folder
@given(content=damaged_json(RunConfig().to_json()))
def test_configurations(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    try:
        config = read_config(path)
        assert RunConfig.from_json(config.to_json()) == config
    except InputError as error:
        assert_one_line(error, path)


def finished_run(folder):
    """A run with the files that `read_runs` reads."""
    run = RunDirectory.create(folder)
    run.write_config(RunConfig(), {"data": {"name": "sample"}, "environment": {}})
    run.write_metrics([{"epoch": 1, "seconds": 2.5, "train_loss": 1.0}, {"epoch": 2, "seconds": 2.5, "test_mse": 0.1}])
    run.write_summary({"parameters": 10})
    run.write_evaluation({"model": "m", "data": {}, "settings": {}, "metrics": {"mse": 0.5, "kl_share": [0.5, 0.5]}})
    run.model.write_bytes(b"")
    return run


@one_folder
@given(data=st.data())
def test_runs(tmp_path, data):
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    run = finished_run(tmp_path / "run")
    path = data.draw(st.sampled_from((run.config, run.metrics, run.summary, run.evaluation)), "file")
    text = path.read_text(encoding="utf-8")
    path.write_bytes(data.draw(damaged(text.encode()) if path == run.metrics else damaged_json(text), "content"))
    try:
        (found,) = read_runs([run.path])
        assert found.epochs >= 0
    except InputError as error:
        assert_one_line(error, run.path)


# A model and a trainer load in a fraction of a second, which still allows fewer files than the other tests try.
few = settings(
    max_examples=max(20, settings.default.max_examples // 20),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TINY = RunConfig().replace(
    model__image_shape=(8, 8, 1),
    model__widths=(4,),
    model__groups=2,
    model__attention_resolution=0,
    model__mapping_layers=0,
    model__generative_skips=False,
    discriminator__widths=(4,),
    objective__perceptual_weight=0,
)


@one_folder
@given(content=damaged(make_graph(width=4).SerializeToString(deterministic=True)))
def test_graphs_for_fid(tmp_path, content):
    path = tmp_path / "graph.pb"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        InceptionFeatures(path)  # even an unharmed one has 4 features where FID has 2,048
    assert_one_line(refused.value, path)
    assert [found.name for found in tmp_path.iterdir()] == ["graph.pb"]


@pytest.fixture(scope="module")
def trainer():
    return build_trainer(TINY, 2)


@pytest.fixture(scope="module")
def checkpoint(trainer, tmp_path_factory):
    """The bytes of a checkpoint's files."""
    path = save_checkpoint(trainer, tmp_path_factory.mktemp("checkpoints"), Position(1))
    return {file.name: file.read_bytes() for file in path.iterdir()}


@few
@given(data=st.data())
def test_checkpoints(trainer, checkpoint, tmp_path, data):
    shutil.rmtree(tmp_path / "checkpoints", ignore_errors=True)
    folder = tmp_path / "checkpoints" / "epoch_0001_step_00000"
    folder.mkdir(parents=True)
    contents = dict(checkpoint)
    name = data.draw(st.sampled_from(sorted(contents)), "file")
    contents[name] = data.draw(damaged(contents[name]), "content")
    if data.draw(st.booleans(), "made to look whole"):
        contents["checkpoint.json"] = json.dumps(
            {"sha256": hashlib.sha256(contents["state.npz"]).hexdigest(), "elbo": data.draw(any_json, "elbo")}
        ).encode()
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    try:
        assert restore_checkpoint(trainer, folder.parent, lambda line: None) == (1, 0)
    except InputError as error:
        assert_one_line(error, folder.parent)


@pytest.fixture(scope="module")
def model_file(trainer, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    save_model(trainer.vae, path)
    return path.read_bytes()


@st.composite
def damaged_archive(draw, content):
    """The archive damaged as bytes, or repacked with one member damaged and perhaps renamed."""
    if draw(st.booleans(), "as bytes"):
        return draw(damaged(content))
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as whole, zipfile.ZipFile(packed, "w") as archive:
        chosen = draw(st.sampled_from(whole.namelist()), "member")
        for name in whole.namelist():
            member = whole.read(name)
            if name == chosen:
                member = draw(damaged_json(member.decode()) if name.endswith(".json") else damaged(member), "content")
                name = draw(st.sampled_from((name, name, "../escaped", "/tmp/escaped")), "name")
            archive.writestr(name, member)
    return packed.getvalue()


@few
@given(data=st.data())
def test_model_files(model_file, tmp_path, data):
    path = tmp_path / "folder" / "model.keras"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.draw(damaged_archive(model_file), "content"))
    try:
        assert isinstance(load_model(path), VAE)
    except InputError as error:
        assert_one_line(error, path)
    assert [found.name for found in tmp_path.iterdir()] == ["folder"]
    assert [found.name for found in path.parent.iterdir()] == ["model.keras"]

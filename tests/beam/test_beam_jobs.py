"""Jobs write what the model gives when it is called directly, and nothing twice."""

import io
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from jobs import SHAPE, options_for, publish, read_examples, summary_of
from PIL import Image

from keras_vae.beam import encode_images, evaluate_images, reconstruct_images
from keras_vae.data import load_tfrecords
from keras_vae.data.framing import Framing
from keras_vae.data.image_file import read_image
from keras_vae.export.loading import load_exported
from keras_vae.latents import FiniteScalarQuantizer
from keras_vae.training.evaluation import evaluation_report

pytestmark = pytest.mark.slow

# Float32 tolerance: other batches sum in another order.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def names_of(records):
    """The test split's images, by file and record number."""
    sizes = [13, 13, 14]
    files = [records / "test" / f"test-{index:05}-of-00003.tfrecord.gz" for index in range(3)]
    return [f"{file}:{row}" for file, size in zip(files, sizes, strict=True) for row in range(size)]


def expected(model, dataset):
    vae = load_exported(model)
    images = dataset.test.images.astype(np.float32) / 255
    labels = None if vae.num_classes is None else dataset.test.labels
    mean, log_var = vae.encode(images, labels)
    return mean.numpy(), log_var.numpy(), vae.reconstruct(images, labels).numpy()


def read_latents(folder):
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("which", ["model", "conditional_model"])
def test_latents_are_those_of_the_model_in_the_order_of_the_input(which, request, dataset, records, tmp_path):
    model = request.getfixturevalue(which)
    summary = encode_images(options_for(model, f"tfrecord:{records}", tmp_path / "latents"))

    files = [f"latents-{index:05}-of-00003.parquet" for index in range(3)]
    assert sorted(path.name for path in (tmp_path / "latents").iterdir()) == ["bad_images.txt", *files, "summary.json"]
    assert summary == summary_of(tmp_path / "latents")
    assert summary["shards"] == [{"file": file, "images": n} for file, n in zip(files, (13, 13, 14), strict=True)]
    rows = read_latents(tmp_path / "latents")
    assert [row["name"] for row in rows] == names_of(records)
    assert [row["label"] for row in rows] == dataset.test.labels.tolist()
    mean, log_var, _ = expected(model, dataset)
    np.testing.assert_allclose([row["mean"] for row in rows], mean, **CLOSE)
    np.testing.assert_allclose([row["log_var"] for row in rows], log_var, **CLOSE)


def test_latents_as_tfrecords_are_those_of_the_parquet_files(model, records, tmp_path):
    encode_images(options_for(model, f"tfrecord:{records}/test/*-00001-*", tmp_path / "parquet"))
    encode_images(options_for(model, f"tfrecord:{records}/test/*-00001-*", tmp_path / "tfrecord"), "tfrecord")
    examples = read_examples(tmp_path / "tfrecord" / "latents-00000-of-00001.tfrecord.gz")
    rows = read_latents(tmp_path / "parquet")
    assert len(rows) == 13
    assert [
        {"name": row["name"][0].decode(), "mean": row["mean"], "log_var": row["log_var"], "label": row["label"][0]}
        for row in examples
    ] == rows


def test_jobs_write_and_count_the_codes_of_a_model_that_has_any(dataset, records, tmp_path):
    # Two codes of five: one for each number of the latent.
    model = publish(tmp_path / "codes" / "7", bottleneck=FiniteScalarQuantizer((5,)))
    data = f"tfrecord:{records}/test/*-00001-*"
    encode_images(options_for(model, data, tmp_path / "parquet"))
    encode_images(options_for(model, data, tmp_path / "tfrecord"), "tfrecord")
    metrics = evaluate_images(options_for(model, data, tmp_path / "figures"))["metrics"]

    codes = load_exported(model).encode_codes(dataset.test.images[13:26].astype(np.float32) / 255).numpy()
    assert len(np.unique(codes)) > 1
    assert [row["codes"] for row in read_latents(tmp_path / "parquet")] == codes.tolist()
    examples = read_examples(tmp_path / "tfrecord" / "latents-00000-of-00001.tfrecord.gz")
    assert [row["codes"] for row in examples] == codes.tolist()
    assert metrics["bits"] == pytest.approx(2 * np.log2(5))
    assert metrics["kl"] == pytest.approx(2 * np.log(5))
    assert metrics["kl_per_dimension"] == []


def test_reconstructions_are_pngs_that_are_images_again(model, dataset, records, tmp_path):
    reconstruct_images(options_for(model, f"tfrecord:{records}", tmp_path / "out"))
    files = sorted((tmp_path / "out").glob("reconstructions-*-of-00003.tfrecord.gz"))
    examples = [example for file in files for example in read_examples(file)]
    assert [example["name"][0].decode() for example in examples] == names_of(records)
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(example["image/encoded"][0]))) for example in examples])
    _, _, reconstructions = expected(model, dataset)
    assert np.abs(pixels[..., None] / 255 - reconstructions).max() < 0.51 / 255
    again = load_tfrecords(files, files).test.first(40)
    np.testing.assert_array_equal(again[0], pixels[..., None])
    np.testing.assert_array_equal(again[1], dataset.test.labels)


def test_figures_are_those_of_keras_vae_evaluate(model, dataset, records, tmp_path):
    found = evaluate_images(options_for(model, f"tfrecord:{records}", tmp_path / "figures"))
    report = evaluation_report(load_exported(model), dataset, importance_samples=0, components=2)["metrics"]
    assert found["images"] == 40
    assert found == summary_of(tmp_path / "figures")
    assert found["metrics"].keys() == {"mse", "psnr", "ssim", "lpips", "kl", "kl_per_dimension"}
    for name, value in found["metrics"].items():
        np.testing.assert_allclose(value, report[name], rtol=1e-4, err_msg=name)


def test_a_bundle_that_is_repeated_leaves_nothing_twice(model, records, tmp_path):
    jobs = {"once": (), "again": ("--direct_runner_bundle_repeat", "2")}
    for name, flags in jobs.items():
        encode_images(options_for(model, f"tfrecord:{records}", tmp_path / name, pipeline_options=flags))
    once, again = (sorted((tmp_path / name).iterdir()) for name in jobs)
    assert [path.name for path in once] == [path.name for path in again]
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]


def test_two_processes_write_what_one_does(model, records, tmp_path):
    two = ("--direct_num_workers", "2", "--direct_running_mode", "multi_processing")
    encode_images(options_for(model, f"tfrecord:{records}", tmp_path / "one"))
    encode_images(options_for(model, f"tfrecord:{records}", tmp_path / "two", pipeline_options=two))
    one, two = read_latents(tmp_path / "one"), read_latents(tmp_path / "two")
    assert [row["name"] for row in one] == [row["name"] for row in two]
    np.testing.assert_allclose([row["mean"] for row in one], [row["mean"] for row in two], **CLOSE)


def test_image_files_are_framed_as_those_of_a_folder(model, tmp_path):
    random = np.random.default_rng(1)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    latin = os.fsdecode(b"b\xe9.png")
    for name, size in ((latin, (30, 20)), ("a.png", SHAPE[:2]), ("more/c.jpg", (50, 9))):
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / "photos" / name)

    encode_images(options_for(model, f"images:{tmp_path}/photos/**/*", tmp_path / "latents"))

    paths = [tmp_path / "photos" / name for name in ("a.png", latin, "more/c.jpg")]
    images = np.stack([read_image(path, Framing(SHAPE)) for path in paths]).astype(np.float32) / 255
    rows = read_latents(tmp_path / "latents")
    assert [Path(row["name"]).name for row in rows] == ["a.png", "b\\xe9.png", "c.jpg"]
    assert {row["label"] for row in rows} == {None}
    np.testing.assert_allclose([row["mean"] for row in rows], load_exported(model).encode(images)[0], **CLOSE)


def test_a_place_of_tensorflow_s_file_systems_is_written_too(model, records):
    encode_images(options_for(model, f"tfrecord:{records}/test/*-00002-*", "ram://jobs/latents"))
    assert sorted(tf.io.gfile.listdir("ram://jobs/latents")) == [
        "bad_images.txt",
        "latents-00000-of-00001.parquet",
        "summary.json",
    ]
    with tf.io.gfile.GFile("ram://jobs/latents/latents-00000-of-00001.parquet", "rb") as file:
        assert pq.read_table(io.BytesIO(file.read())).num_rows == 14

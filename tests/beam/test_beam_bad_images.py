"""Unreadable images are counted, named, and left out if they are few."""

import gzip

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from jobs import SHAPE, options_for, png_that_announces

from keras_vae.beam import encode_images
from keras_vae.beam.sources import BAD, ReadImages, RecordDecoder, find_parts
from keras_vae.data.framing import Framing
from keras_vae.data.tfrecord import tf_example
from keras_vae.errors import BatchJobError, InputError

GREY = np.full(SHAPE, 90, np.uint8)
PNG = tf.io.encode_png(GREY).numpy()


def write_records(path, records):
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for record in records:
            writer.write(record)
    return path


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (tf_example(PNG[:-30]), "cannot be decoded"),
        (tf_example(b"pixels"), "is neither PNG nor JPEG"),
        (tf_example(PNG[:12]), "is 0×0"),
        (tf_example(b"\xff\xfe\xff"), "is neither PNG nor JPEG"),
        (tf_example(PNG[:24] + b"\xff" * 40), "cannot be decoded"),
        (tf_example(tf.io.encode_png(np.zeros((9, 14, 1), np.uint8)).numpy()), "is 14×9, the model takes 14×12"),
        (tf_example(tf.io.encode_jpeg(np.zeros((9, 14, 1), np.uint8)).numpy()), "is 14×9, the model takes 14×12"),
        (tf_example(png_that_announces(100_000, 100_000)), "is 100000×100000"),
        (tf_example(png_that_announces(14, 12)), "cannot be decoded"),
        (tf_example(PNG, 1 << 40), "which is not a class number"),
        (b"\xff\xff\xff", "is not a tf.Example"),
        (tf.train.Example().SerializeToString(), "is neither PNG nor JPEG"),
    ],
)
def test_a_bad_record_is_left_out_and_its_neighbours_are_not(record, reason):
    records = [tf_example(PNG, 1), record, tf_example(tf.io.encode_jpeg(GREY).numpy(), 2)]
    images, labels, faults = RecordDecoder(SHAPE, None).decode(tf.constant(records))
    assert list(faults) == [1]
    assert reason in faults[1]
    assert labels[[0, 2]].tolist() == [1, 2]
    # A JPEG of a single grey value is accurate to one level.
    np.testing.assert_allclose(images, np.stack([GREY, GREY]), atol=1)


@pytest.mark.parametrize(
    ("label", "words"), [(None, "has no label"), (3, "has the label 3"), (-2, "the labels 0 to 2")]
)
def test_a_conditional_model_leaves_out_what_has_none_of_its_labels(label, words):
    records = [tf_example(PNG, 2), tf_example(PNG, label)]
    images, _, faults = RecordDecoder(SHAPE, 3).decode(tf.constant(records))
    assert len(images) == 1
    assert words in faults[1]


def test_a_few_bad_images_are_named_and_counted(model, tmp_path):
    records = [tf_example(PNG) for _ in range(200)]
    records[17] = tf_example(b"pixels")
    path = write_records(tmp_path / "images.tfrecord.gz", records)
    said = []

    summary = encode_images(options_for(model, f"tfrecord:{path}", tmp_path / "out", batch_size=64), say=said.append)

    assert (summary["images"], summary["bad_images"]) == (199, 1)
    assert (tmp_path / "out" / "bad_images.txt").read_text() == f"{path}:17: is neither PNG nor JPEG\n"
    assert said == [f"tfrecord:{path}: 1 of 200 images are bad and left out; {tmp_path}/out/bad_images.txt names them"]


def test_metrics_count_images_and_bad_images(tmp_path):
    path = write_records(tmp_path / "images.tfrecord.gz", [tf_example(PNG), tf_example(PNG[:40]), tf_example(PNG)])
    pipeline = beam.Pipeline(runner=FnApiRunner())
    read = beam.ParDo(ReadImages(Framing(SHAPE), None, 2)).with_outputs(BAD, main="images")
    _ = pipeline | beam.Create(find_parts(f"tfrecord:{path}")) | read
    counters = pipeline.run().metrics().query()["counters"]
    counted = {each.key.metric.name: each.result for each in counters if each.key.metric.namespace == "keras_vae"}
    assert counted == {"images": 2, "bad_images": 1}


def test_a_job_with_a_hundredth_of_bad_images_fails_and_writes_nothing(model, tmp_path):
    records = [tf_example(PNG) for _ in range(100)]
    records[99] = tf_example(PNG[:-30])
    path = write_records(tmp_path / "images.tfrecord.gz", records)
    said = []
    with pytest.raises(BatchJobError, match="1 of 100 images are bad, and nothing was written"):
        encode_images(options_for(model, f"tfrecord:{path}", tmp_path / "out"), say=said.append)
    assert [path.name for path in tmp_path.iterdir()] == ["images.tfrecord.gz"]
    assert said[0].startswith(f"{path}:99: cannot be decoded")


def test_an_image_file_that_is_none_is_named(model, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"pixels")
    said = []
    with pytest.raises(BatchJobError, match="1 of 1 images"):
        encode_images(options_for(model, f"images:{tmp_path}/*.png", tmp_path / "out"), say=said.append)
    assert said[0].startswith(f"{tmp_path}/photo.png: cannot be read as PNG")


@pytest.mark.parametrize("out", ["local", "ram://jobs/damaged"])
def test_a_damaged_file_ends_the_job_with_its_name_and_nothing_is_written(model, records, tmp_path, out):
    whole = gzip.decompress((records / "test" / "test-00000-of-00003.tfrecord.gz").read_bytes())
    damaged = tmp_path / "damaged.tfrecord.gz"
    damaged.write_bytes(gzip.compress(whole[: len(whole) // 2]))
    place = out if "://" in out else str(tmp_path / out)
    with pytest.raises(InputError, match=r"damaged.tfrecord.gz: cannot be read as a TFRecord file") as caught:
        encode_images(options_for(model, f"tfrecord:{damaged}", place))
    assert "\n" not in str(caught.value)
    assert not tf.io.gfile.exists(place)
    assert [path.name for path in tmp_path.iterdir()] == ["damaged.tfrecord.gz"]


def test_files_without_images_are_refused(model, tmp_path):
    path = write_records(tmp_path / "empty.tfrecord.gz", [])
    with pytest.raises(InputError, match="holds no images"):
        encode_images(options_for(model, f"tfrecord:{path}", tmp_path / "out"))

"""``keras-vae to-tfrecord``, through the installed program."""

import json

import numpy as np
from idx_files import write_split
from installed_command import run_command


def test_a_data_set_is_written_as_sharded_records(tmp_path):
    for prefix, count in (("train", 5), ("t10k", 3)):
        images = np.arange(24 * count, dtype=np.uint8).reshape(count, 6, 4)
        write_split(tmp_path / "digits", prefix, images, np.arange(count))

    done = run_command("to-tfrecord", "idx:digits", "data/digits", "--shard-size", 2, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == "train: 5 images, 3 files\ntest: 3 images, 2 files\ndigits is in data/digits\n"
    description = json.loads((tmp_path / "data" / "digits" / "dataset.json").read_text())
    assert description["image_shape"] == [6, 4, 1]
    assert description["class_names"] == ["0", "1", "2", "3", "4"]
    assert len(list((tmp_path / "data" / "digits").glob("t*/*.tfrecord.gz"))) == 5

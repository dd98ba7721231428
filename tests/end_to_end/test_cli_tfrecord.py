"""``keras-vae to-tfrecord``, through the installed program."""

import gzip
import json
import struct

from installed_command import run_command


def write_idx(path, dimensions, data):
    header = struct.pack(f">HBB{len(dimensions)}I", 0, 8, len(dimensions), *dimensions)
    path.write_bytes(gzip.compress(header + data))


def test_a_data_set_is_written_as_sharded_records(tmp_path):
    digits = tmp_path / "digits"
    digits.mkdir()
    for prefix, count in (("train", 5), ("t10k", 3)):
        write_idx(digits / f"{prefix}-images-idx3-ubyte.gz", (count, 6, 4), bytes(range(24)) * count)
        write_idx(digits / f"{prefix}-labels-idx1-ubyte.gz", (count,), bytes(range(count)))

    done = run_command("to-tfrecord", "idx:digits", "data/digits", "--shard-size", 2, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == "train: 5 images, 3 files\ntest: 3 images, 2 files\ndigits is in data/digits\n"
    description = json.loads((tmp_path / "data" / "digits" / "dataset.json").read_text())
    assert description["image_shape"] == [6, 4, 1]
    assert description["class_names"] == ["0", "1", "2", "3", "4"]
    assert len(list((tmp_path / "data" / "digits").glob("t*/*.tfrecord.gz"))) == 5

"""Jobs that cannot start give one line that says what is wrong, and leave nothing behind."""

import shutil

import pytest
from jobs import options_for

from keras_vae.beam import encode_images
from keras_vae.beam.job import check_place, parse_pipeline_options
from keras_vae.errors import InputError


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("mnist", "a batch job reads tfrecord:PATTERN"),
        ("tfrecord:{0}/none-*", "none-*: no such TFRecord file"),
        ("tfrecord:{0}", "no such TFRecord file"),
        ("images:{0}/*.png", "no such image file"),
        ("images:{0}", "is a directory; give the files in it"),
    ],
)
def test_images_that_are_not_there_are_refused(model, tmp_path, dataset, words):
    with pytest.raises(InputError) as caught:
        encode_images(options_for(model, dataset.format(tmp_path), tmp_path / "out"))
    assert words in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_a_folder_that_is_no_exported_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not an exported version"):
        encode_images(options_for(tmp_path, "tfrecord:nothing", tmp_path / "out"))


def test_a_model_that_was_changed_is_refused_before_it_is_loaded(model, records, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    with (tmp_path / "model" / "saved_model.pb").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(InputError, match="was changed after the export"):
        encode_images(options_for(tmp_path / "model", f"tfrecord:{records}", tmp_path / "out"))


def test_a_format_that_is_not_written_is_refused(model, records, tmp_path):
    with pytest.raises(InputError, match="format must be one of parquet, tfrecord, got 'csv'"):
        encode_images(options_for(model, f"tfrecord:{records}", tmp_path / "out"), "csv")


def test_a_conditional_model_takes_no_image_files(conditional_model, tmp_path):
    with pytest.raises(InputError, match="is conditional, and image files have no labels"):
        encode_images(options_for(conditional_model, "images:*.png", tmp_path / "out"))


def test_results_are_replaced_only_when_asked_to(model, records, tmp_path):
    options = options_for(model, f"tfrecord:{records}/test/*-00000-*", tmp_path / "out")
    encode_images(options)
    with pytest.raises(InputError, match="replace them with --overwrite"):
        encode_images(options)
    encode_images(
        options_for(model, f"tfrecord:{records}", tmp_path / "out", overwrite=True, split="train"), "tfrecord"
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "bad_images.txt",
        "latents-00000-of-00002.tfrecord.gz",
        "latents-00001-of-00002.tfrecord.gz",
        "summary.json",
    ]


def test_what_is_not_a_job_s_is_never_replaced(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    check_place(str(folder), overwrite=False)
    (folder / "summary.json").write_text('{"format": "keras-vae batch job 1", "shards": []}')
    check_place(str(folder), overwrite=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        check_place(str(folder), overwrite=True)
    with pytest.raises(InputError, match="is not a folder"):
        check_place(str(folder / "notes.txt"), overwrite=True)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--direct_num_wrkers", "2"), "--direct_num_wrkers"),
        (("direct_num_workers", "2"), "direct_num_workers"),
        (("--direct_num_workers", "two"), "invalid int value: 'two'"),
        (("--direct_running_mode", "fast"), "invalid choice"),
    ],
)
def test_a_pipeline_option_that_beam_does_not_know_is_refused(flags, words):
    with pytest.raises(InputError) as caught:
        parse_pipeline_options("DirectRunner", flags)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)

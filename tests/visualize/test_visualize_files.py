"""PNG and GIF files: what is written is what is read back, and a failure leaves nothing behind."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_vae.errors import InputError
from keras_vae.visualize import files, latent_frames, reconstruction_frames, write_gif, write_png


def solid(colour, height=20, width=30):
    return np.full((height, width, 3), colour, np.uint8)


def read_frames(path):
    """Every frame as RGB, and its duration in milliseconds."""
    with Image.open(path) as image:
        frames, durations = [], []
        for index in range(image.n_frames):
            image.seek(index)
            frames.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
        return frames, durations, image.info.get("loop")


def local_palettes(data: bytes) -> int:
    """How many frames of a GIF bring a palette of their own, by walking its blocks (GIF89a, section 20)."""
    position = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    found = 0
    while data[position] != 0x3B:
        if data[position] == 0x21:
            position += 2
        else:
            flags = data[position + 9]
            found += bool(flags & 0x80)
            position += 10 + (3 << (flags & 7) + 1 if flags & 0x80 else 0) + 1
        while data[position]:
            position += data[position] + 1
        position += 1
    return found


def test_a_png_holds_the_picture(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    write_png(tmp_path / "picture.png", picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "picture.png")), picture)


def test_a_written_file_obeys_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        write_png(tmp_path / "picture.png", solid(7))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "picture.png").stat().st_mode) == 0o644


def test_a_gif_has_every_frame_its_duration_and_loops_for_ever(tmp_path):
    frames = [solid(shade) for shade in (0, 80, 160, 255)]
    write_gif(tmp_path / "run.gif", frames, seconds_per_frame=0.25, hold_last=1.5)
    read, durations, loop = read_frames(tmp_path / "run.gif")
    np.testing.assert_array_equal(read, frames)
    assert durations == [250, 250, 250, 1500]
    assert loop == 0


def test_a_gif_of_one_frame_is_held(tmp_path):
    write_gif(tmp_path / "run.gif", [solid(9)], hold_last=3)
    read, _, _ = read_frames(tmp_path / "run.gif")
    np.testing.assert_array_equal(read, [solid(9)])


def test_all_frames_of_a_gif_share_one_palette(tmp_path):
    frames = [solid((40 * index, 255 - 40 * index, 99)) for index in range(6)]
    write_gif(tmp_path / "run.gif", frames)
    data = (tmp_path / "run.gif").read_bytes()
    assert data[10] & 0x80  # the global palette
    assert local_palettes(data) == 0


def test_a_gif_keeps_the_page_white_and_plots_undithered(tmp_path):
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(3):
        frame = solid(255, 100, 100)
        frame[20:60, 20:60] = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        frame[70:90, 10:90] = (0, 114, 178)
        frames.append(frame)
    write_gif(tmp_path / "run.gif", frames)
    for frame in read_frames(tmp_path / "run.gif")[0]:
        assert (frame[:20] == 255).all()
        assert (frame[70:90, 10:90] == (0, 114, 178)).all()


def test_a_gif_comes_near_every_colour_when_it_has_to_choose(tmp_path):
    ramp = np.zeros((64, 256, 3), np.uint8)
    ramp[..., 0] = np.arange(256)
    write_gif(tmp_path / "run.gif", [ramp], colours=64)
    frame = read_frames(tmp_path / "run.gif")[0][0]
    # 64 shades for 256 values: each stands for about 4.
    assert np.abs(frame.astype(int) - ramp).max() <= 10


def test_a_gif_can_be_dithered_for_photographs(tmp_path):
    ramp = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], 50, axis=0).repeat(3, axis=2)
    write_gif(tmp_path / "run.gif", [ramp], colours=8, dithers=True)
    frame = read_frames(tmp_path / "run.gif")[0][0].astype(float)
    assert len(np.unique(frame.reshape(-1, 3), axis=0)) <= 8
    # The mean over a neighbourhood follows the ramp although only eight shades exist.
    assert np.abs(frame[:, 90:110].mean() - ramp[:, 90:110].mean()) < 8


@pytest.mark.slow
def test_twenty_epochs_of_five_thousand_points_stay_under_three_megabytes(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 5000)
    centres, noise = rng.normal(size=(10, 2)) * 1.5, rng.normal(size=(5000, 2))
    means = [centres[labels] * (epoch / 20) + noise * (1 - epoch / 30) for epoch in range(20)]
    write_gif(tmp_path / "latent.gif", latent_frames(means, labels, range(20), [5.0] * 20))
    assert (tmp_path / "latent.gif").stat().st_size < 3_000_000


def test_twenty_epochs_of_reconstructions_stay_under_three_megabytes(tmp_path):
    # Noise is the hardest case: no reconstruction compresses worse.
    rng = np.random.default_rng(0)
    originals = rng.random((20, 28, 28, 1), dtype=np.float32)
    epochs = [rng.random((20, 28, 28, 1), dtype=np.float32) for _ in range(20)]
    write_gif(tmp_path / "rec.gif", reconstruction_frames(originals, epochs, range(20)))
    assert (tmp_path / "rec.gif").stat().st_size < 3_000_000


@pytest.mark.parametrize("write", [lambda path: write_png(path, solid(1)), lambda path: write_gif(path, [solid(1)])])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, write):
    target = tmp_path / "plot.png"
    target.write_bytes(b"before")

    def save_half(self, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.Image.Image, "save", save_half)
    with pytest.raises(OSError, match="No space left"):
        write(target)
    assert os.listdir(tmp_path) == ["plot.png"]
    assert target.read_bytes() == b"before"


def test_a_failed_rename_leaves_nothing(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError("refused")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(PermissionError):
        write_png(tmp_path / "plot.png", solid(1))
    assert os.listdir(tmp_path) == []


def test_an_existing_file_is_replaced(tmp_path):
    write_png(tmp_path / "plot.png", solid(1))
    write_png(tmp_path / "plot.png", solid(2))
    assert os.listdir(tmp_path) == ["plot.png"]
    assert np.asarray(Image.open(tmp_path / "plot.png")).max() == 2


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "at least one frame"),
        ([solid(1), solid(1, height=21)], {}, "one size"),
        ([solid(1)], {"seconds_per_frame": 0.0}, "at least 0.02"),
        ([solid(1)], {"colours": 257}, "2 to 256"),
        ([solid(1).astype(np.float32)], {}, "uint8"),
    ],
)
def test_what_is_no_animation_is_refused(tmp_path, frames, options, message):
    with pytest.raises(InputError, match=message):
        write_gif(tmp_path / "run.gif", frames, **options)
    assert os.listdir(tmp_path) == []

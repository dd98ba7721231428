"""PNG and GIF files read back, and what is no picture or too large a one."""

import numpy as np
import pytest
from PIL import Image

from keras_vae.errors import InputError
from keras_vae.visualize import count_gif_frames, read_gif, read_png, reading, write_gif, write_png


def solid(shade, height=20, width=30):
    return np.full((height, width, 3), shade, np.uint8)


def test_what_was_written_is_read(tmp_path):
    frames = [solid(shade) for shade in (10, 200, 90)]
    write_png(tmp_path / "a.png", frames[1])
    write_gif(tmp_path / "a.gif", frames)
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), frames[1])
    np.testing.assert_array_equal(list(read_gif(tmp_path / "a.gif")), frames)
    assert count_gif_frames(tmp_path / "a.gif") == 3


def test_what_is_transparent_is_read_as_white(tmp_path):
    Image.new("RGBA", (4, 3), (255, 0, 0, 0)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), solid(255, 3, 4))


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"<svg/>"])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a PNG"):
        read_png(tmp_path / "a")
    with pytest.raises(InputError, match="cannot be read as a GIF"):
        list(read_gif(tmp_path / "a"))


def test_every_shortened_file_is_refused_or_read(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", noise[0])
    write_gif(tmp_path / "a.gif", list(noise))
    for name, read in (("a.png", read_png), ("a.gif", lambda path: list(read_gif(path)))):
        data = (tmp_path / name).read_bytes()
        for length in range(0, len(data), 7):
            (tmp_path / "short").write_bytes(data[:length])
            try:
                read(tmp_path / "short")
            except InputError as error:
                assert "short" in str(error)  # noqa: PT017  # some lengths are whole files


def test_a_picture_that_is_too_large_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    write_png(tmp_path / "a.png", solid(1))
    write_gif(tmp_path / "a.gif", [solid(1), solid(2)])
    monkeypatch.setattr(reading, "LARGEST_PIXELS", 599)
    monkeypatch.setattr(reading, "LARGEST_FRAME", 599)
    for read in (lambda: read_png(tmp_path / "a.png"), lambda: list(read_gif(tmp_path / "a.gif"))):
        with pytest.raises(InputError, match="30 × 20 pixels is too large"):
            read()
    monkeypatch.undo()
    monkeypatch.setattr(reading, "MOST_FRAMES", 1)
    with pytest.raises(InputError, match="has 2 frames"):
        count_gif_frames(tmp_path / "a.gif")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a\.png: no such file"):
        read_png(tmp_path / "a.png")

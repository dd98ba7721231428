"""Kinds of image files: TIFF and AVIF, greys of more than 8 bits, transparent values, and unread formats."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_vae.data.framing import Framing
from keras_vae.data.image_file import EXTENSIONS, read_image, unread_kind
from keras_vae.errors import InputError

needs_avif = pytest.mark.skipif(".avif" not in EXTENSIONS, reason="this Pillow has no AVIF")
DEEP = np.array([[0, 1000, 2000, 4095]], np.uint16)
FOUR = Framing((1, 4, 1))


def read(path, framing=FOUR):
    return read_image(path, framing).ravel().tolist()


def png(rows, width, depth, colour, transparent):
    """A PNG of packed rows; ``transparent`` is what tRNS holds."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = ((b"IHDR", header), (b"tRNS", transparent), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


def tiff(bits, data, photometric=1):
    """A TIFF of one row of four greys, uncompressed."""
    shorts = {256: 4, 257: 1, 258: bits, 259: 1, 262: photometric, 277: 1, 278: 1}
    longs = {273: 8 + 2 + 12 * 9 + 4, 279: len(data)}
    entries = {tag: struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in shorts.items()}
    entries |= {tag: struct.pack("<HHII", tag, 4, 1, value) for tag, value in longs.items()}
    return b"II*\0" + struct.pack("<IH", 8, 9) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4) + data


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (png([bytes([0b10100000])], 4, 1, 0, struct.pack(">H", 0)), [255, 255, 255, 255]),
        (png([bytes([0b00011011])], 4, 2, 0, struct.pack(">H", 0)), [255, 85, 170, 255]),
        (png([bytes([0x01, 0x2F])], 4, 4, 0, struct.pack(">H", 2)), [0, 17, 255, 255]),
        (png([bytes([1, 2, 3, 4])], 4, 8, 0, struct.pack(">H", 3)), [1, 2, 255, 4]),
        (png([struct.pack(">4H", 0, 1000, 40000, 65535)], 4, 16, 0, struct.pack(">H", 1000)), [0, 255, 156, 255]),
        (
            png([struct.pack(">12H", *[0] * 3, *[2570] * 3, *[5140] * 3, *[65535] * 3)], 4, 16, 2, b"\x0a\x0a" * 3),
            [0, 255, 20, 255],
        ),
    ],
    ids=["1 bit", "2 bits", "4 bits", "8 bits", "16 bits", "16 bits a colour"],
)
def test_the_transparent_value_of_a_png_becomes_white_at_any_bit_depth(tmp_path, content, wanted):
    (tmp_path / "a.png").write_bytes(content)
    assert read(tmp_path / "a.png") == wanted


@pytest.mark.parametrize(("name", "options"), [("a.png", {}), ("a.tif", {}), ("a.tif", {"compression": "tiff_lzw"})])
def test_bit_depth_says_which_grey_is_white(tmp_path, name, options):
    Image.fromarray(DEEP).save(tmp_path / name, **options)
    assert read(tmp_path / name) == [0, 4, 8, 16]
    assert read(tmp_path / name, Framing((1, 4, 1), bit_depth=12)) == [0, 62, 125, 255]
    assert read(tmp_path / name, Framing((1, 4, 1), bit_depth=10)) == [0, 249, 255, 255]


def test_bit_depth_does_not_change_eight_bits(tmp_path):
    Image.fromarray(np.array([[0, 10, 100, 255]], np.uint8)).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", Framing((1, 4, 1), bit_depth=12)) == [0, 10, 100, 255]


def test_bit_depth_is_refused_for_colours_of_sixteen_bits(tmp_path):
    (tmp_path / "a.png").write_bytes(png([struct.pack(">12H", *range(12))], 4, 16, 2, bytes(6)))
    with pytest.raises(InputError, match=r"a\.png: has 16 bits a colour, of which the upper 8 are read; --bit"):
        read(tmp_path / "a.png", Framing((1, 4, 1), bit_depth=12))


def test_a_tiff_of_twelve_bits_needs_no_option(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(12, bytes([0x00, 0x03, 0xE8, 0x7D, 0x0F, 0xFF])))
    assert read(tmp_path / "a.tif") == [0, 62, 125, 255]


def test_a_tiff_that_counts_down_from_white_is_turned_round(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(16, np.array([0, 257, 514, 65535], "<u2").tobytes(), photometric=0))
    assert read(tmp_path / "a.tif") == [255, 254, 253, 0]


@pytest.mark.parametrize("compression", [None, "packbits", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_the_first_page_of_a_tiff_is_read(tmp_path, mode, compression):
    pages = [Image.new("RGB", (4, 1), colour).convert(mode) for colour in ("white", "black")]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:], compression=compression)
    assert read(tmp_path / "a.tiff") == [255] * 4


def test_a_tiff_is_turned_as_it_says(tmp_path):
    image = np.zeros((4, 4), np.uint8)
    image[0] = 255
    Image.fromarray(image).save(tmp_path / "a.tif", tiffinfo={0x0112: 6})
    assert read_image(tmp_path / "a.tif", Framing((4, 4, 1)))[:, :, 0].tolist() == [[0, 0, 0, 255]] * 4


@needs_avif
def test_avif_is_read_with_its_transparency(tmp_path):
    Image.new("RGB", (20, 30), (200, 30, 90)).save(tmp_path / "a.avif")
    assert np.abs(read_image(tmp_path / "a.avif", Framing((8, 8, 3))).astype(int) - (200, 30, 90)).max() <= 4
    Image.new("RGBA", (20, 30)).save(tmp_path / "clear.avif")
    assert read_image(tmp_path / "clear.avif", Framing((8, 8, 3))).min() == 255


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (Image.new("1", (4, 1)), {"compression": "group4"}, "is a TIFF compressed as group4, which is not read"),
        (Image.new("F", (4, 1)), {}, "is a TIFF of signed, floating-point or 32-bit values"),
        (Image.new("I", (4, 1)), {}, "is a TIFF of signed, floating-point or 32-bit values"),
    ],
)
def test_risky_or_ambiguous_tiffs_are_refused_before_they_are_decoded(tmp_path, monkeypatch, image, options, message):
    image.save(tmp_path / "a.tif", **options)
    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.load", None)
    with pytest.raises(InputError, match=rf"a\.tif: {message}"):
        read(tmp_path / "a.tif")


def test_a_large_tiff_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    Image.new("1", (9000, 9000)).save(tmp_path / "a.tif", compression="tiff_lzw")
    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.load", None)
    with pytest.raises(InputError, match=r"a\.tif: is 9000×9000, more than the 40,000,000 pixels of --max-pixels"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("ending", [".jfif", ".jpe", ".JIF", ".pjpeg"])
def test_jpegs_of_other_endings_are_read(tmp_path, ending):
    content = io.BytesIO()
    Image.new("L", (4, 1), 200).save(content, "JPEG")
    (tmp_path / f"a{ending}").write_bytes(content.getvalue())
    assert ending.lower() in EXTENSIONS
    assert read(tmp_path / f"a{ending}") == [200] * 4


def test_formats_that_are_not_read_are_known_by_their_endings():
    assert unread_kind(".heic") == ".heic (not read; convert them to JPEG or PNG)"
    assert unread_kind(".jp2") == ".jp2 (not read; convert them to JPEG or PNG)"
    assert unread_kind(".png") is unread_kind(".txt") is None

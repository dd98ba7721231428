"""``keras-vae reconstruct --tile``: every image at its own size, in a folder."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_vae.models import AutoencoderKL


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with ``sd.keras``, a small model, and with images of several sizes and kinds."""
    folder = tmp_path_factory.mktemp("tiles")
    keras.utils.set_random_seed(0)
    AutoencoderKL((16, 16, 3), block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1).save(
        folder / "sd.keras"
    )
    pixels = np.random.default_rng(0).integers(0, 256, (70, 45, 3), "uint8")
    Image.fromarray(pixels).save(folder / "tall.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    Image.fromarray(pixels[:40]).save(folder / "turned.jpg", exif=turned)
    (folder / "other").mkdir()
    Image.fromarray(pixels).save(folder / "other" / "tall.png")
    return folder


def test_images_keep_their_sizes(place, run_here, tmp_path):
    done = run_here("reconstruct", "sd.keras", "tall.png", "turned.jpg", "--tile", 32, "--overlap", 8, "--out",
                    tmp_path / "out", cwd=place)  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name, size in (("tall", (45, 70)), ("turned", (40, 45))):
        with Image.open(tmp_path / "out" / f"{name}.png") as image:
            assert (image.size, image.mode) == (size, "RGB")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"wrote {tmp_path / 'out' / 'tall.png'}, 70×45, PSNR ")
    assert len(lines) == 2


def test_the_pixels_are_those_of_the_library(place, run_here, tmp_path):
    run_here("reconstruct", "sd.keras", "tall.png", "--tile", 128, "--out", tmp_path, cwd=place)
    vae = keras.saving.load_model(place / "sd.keras")
    pixels = np.asarray(Image.open(place / "tall.png"))[None]
    expected = np.rint(255 * vae.reconstruct(pixels, tile=128)[0])
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / "tall.png")), expected, atol=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mnist-latent2", "tall.png", "--tile", 8), "only a spatial latent has tiles; this one is a vector of 2"),
        (("sd.keras", "tall.png", "--tile", 7), "tile must be a multiple of the 2 pixels of a latent's position, got"),
        (("sd.keras", "tall.png", "--tile", 32), "overlap must be a multiple of 2 and less than tile, got 64"),
        (("sd.keras", "tall.png", "--overlap", 8), "--overlap is one of tiles: give their size with --tile"),
        (("sd.keras", "tall.png", "other/tall.png", "--tile", 128), "two images have the same name"),
        (("sd.keras", "tall.png", "--tile", 128, "--out", "other"), "other/tall.png: exists already; replace it with"),
        (("sd.keras", "tall.png", "--tile", 128, "--out", "sd.keras"), "sd.keras: is a file; name a folder with --out"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(place, refusal_here, arguments, message):
    assert message in refusal_here("reconstruct", *arguments, cwd=place)

"""The page in Chromium, by ``file://`` and without a network, against the models themselves."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
from browsing import address_of, drag, go, half_of, latent_of, pixels_of, posterior_of, rest, shifted, started_page
from made_up_explorations import make_exploration
from PIL import Image
from sklearn.decomposition import PCA

from keras_vae.data import load_dataset
from keras_vae.explorer import offline_page
from keras_vae.explorer.runtime import find_runtime
from keras_vae.models import VAE
from keras_vae.visualize.interpolation import slerp
from keras_vae_cli import explore
from keras_vae_cli.runtime import open_dataset
from keras_vae_cli.scored_images import by_number

pytestmark = pytest.mark.slow

# Pixels are rounded to whole numbers, and weights to float16.
PIXELS = 2
# A latent in an address has four decimals, and one on the page three.
LATENT = 1e-2
ROOT = Path(__file__).parents[2]
EVIL = "</script><img src=x onerror=alert(1)>"


def write_page(run, runtime_folder, data="sample"):
    """Run the command in this process; returns the page's address."""
    out = run.with_suffix(".html")
    options = {"data_dir": None, "port": None, "no_browser": False, "overwrite": False}
    explore.command.callback(run, dataset=data, out=out, runtime=runtime_folder, **options)
    return out.as_uri()


@pytest.fixture(scope="module")
def digits():
    """The published model of two dimensions."""
    return VAE.from_preset("mnist-latent2")


@pytest.fixture(scope="module")
def address(digits, runtime_folder, tmp_path_factory):
    """A page of it."""
    folder = tmp_path_factory.mktemp("digits")
    digits.save(folder / "digits.keras")
    return write_page(folder / "digits.keras", runtime_folder)


@pytest.fixture(scope="module")
def open_once(browser, address):
    """The page of digits, opened once, and what goes wrong in it."""
    problems = []
    with browser.new_context(offline=True) as context:
        yield started_page(context, address, problems), problems


@pytest.fixture
def page(open_once):
    """The page of digits at z = (0.5, -0.5), as other tests have left it; afterwards no error may be in its console."""
    page, problems = open_once
    go(page, "#z=0.5,-0.5")
    page.click("#clear")
    yield page
    assert problems == []


def difference(found, expected):
    """The largest difference of pixels in [0, 255] from images in [0, 1]."""
    return np.abs(found.astype(float) - 255 * np.asarray(expected)).max()


def test_dragging_to_three_points_shows_what_the_model_decodes_there(page, digits):
    for end in ((0.3, 0.35), (0.62, 0.4), (0.5, 0.75)):
        drag(page, "plane", [(0.5, 0.5), end])
        rest(page)
        z = latent_of(page)
        assert difference(pixels_of(page, "decoded"), digits.decode(z)[0]) <= PIXELS
    half = half_of(page)
    # The border and whole pixels of the mouse.
    np.testing.assert_allclose(z[0], [0, -0.5 * half], atol=0.01 * half)


def test_a_drawn_stroke_lands_where_the_encoder_puts_it(page, digits):
    drag(page, "drawing", [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)])
    rest(page)

    image = pixels_of(page, "original").astype(np.float32)[None] / 255
    mean, log_var = digits.encode(image)
    expected = dict(zip(("z₀", "z₁"), zip(mean[0], np.exp(np.asarray(log_var[0]) / 2), strict=True), strict=True))
    found = posterior_of(page)
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], atol=LATENT)
    np.testing.assert_allclose(latent_of(page), mean, atol=LATENT)
    assert difference(pixels_of(page, "decoded"), digits.decode(latent_of(page))[0]) <= PIXELS


def test_a_drawing_is_centred_and_scaled_as_mnist_s_digits_are(page):
    drag(page, "drawing", [(0.05, 0.05), (0.05, 0.3)])
    rest(page)

    image = pixels_of(page, "original")[..., 0].astype(float)
    rows = np.flatnonzero(image.sum(axis=1) > 0)
    assert 19 <= rows[-1] - rows[0] + 1 <= 22
    places = np.arange(28) + 0.5
    mass = [(image.sum(axis=axis) @ places) / image.sum() for axis in (1, 0)]
    np.testing.assert_allclose(mass, [14, 14], atol=0.5)
    page.uncheck("#centre")
    rest(page)
    assert np.flatnonzero(pixels_of(page, "original")[..., 0].sum(axis=0))[-1] < 6
    page.check("#centre")


def test_hovering_a_point_shows_its_image_and_class_beside_the_reconstruction(page, digits):
    drag(page, "plane", [(0.5, 0.5), (0.9, 0.95)])
    rest(page)
    before = latent_of(page)
    sample = load_dataset("sample").test
    mean, _ = digits.encode(sample.images)
    # A point apart from others, with room for the mouse.
    mean = np.asarray(mean)
    apart = np.sort(np.linalg.norm(mean[:, None] - mean[None], axis=-1), axis=1)[:, 1]
    inside = np.abs(mean).max(axis=1) < 2.5
    row = int(np.argmax(np.where(inside, apart, 0)))
    half = half_of(page)
    box = page.locator("#plane").bounding_box()
    share = (mean[row] / half * [1, -1] + 1) / 2

    page.mouse.move(box["x"] + share[0] * box["width"], box["y"] + share[1] * box["height"])
    page.wait_for_function(
        "(label) => document.getElementById('original-name').textContent === label", arg=str(sample.labels[row])
    )
    page.wait_for_selector("#decoded[aria-busy=false]")

    np.testing.assert_array_equal(pixels_of(page, "original"), sample.images[row])
    assert difference(pixels_of(page, "decoded"), digits.decode(mean[row : row + 1])[0]) <= PIXELS
    page.mouse.move(1, 1)
    page.wait_for_function("() => document.getElementById('original-name').textContent !== ''")
    rest(page)
    np.testing.assert_array_equal(latent_of(page), before)


def test_a_mouse_that_rests_where_a_drag_ended_keeps_that_place_in_view(page, digits):
    page.locator("#plane").scroll_into_view_if_needed()
    box = page.locator("#plane").bounding_box()
    # In the midst of points, of which one is under the mouse.
    middle = (box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.move(box["x"] + 9, box["y"] + 9)
    page.mouse.down()
    page.mouse.move(*middle, steps=3)
    page.mouse.up()
    page.mouse.move(middle[0] + 3, middle[1])
    rest(page)
    assert difference(pixels_of(page, "decoded"), digits.decode(latent_of(page))[0]) <= PIXELS


def test_a_click_on_a_point_takes_its_image_and_the_address_leads_back_to_it(address, open_page, digits):
    sample = load_dataset("sample").test
    page = open_page(f"{address}#image=7")
    rest(page)
    drag(page, "plane", [(0.1, 0.9)])
    x, y = np.asarray(digits.encode(sample.images[7:8])[0])[0] / half_of(page)
    drag(page, "plane", [((x + 1) / 2, (1 - y) / 2)])
    rest(page)

    (row,) = map(int, address_of(page)["image"])
    np.testing.assert_array_equal(pixels_of(page, "original"), sample.images[row])
    mean, _ = digits.encode(sample.images[row : row + 1])
    np.testing.assert_allclose(latent_of(page), mean, atol=LATENT)
    again = open_page(page.url)
    rest(again)
    assert address_of(again) == address_of(page)
    # The address has four decimals.
    np.testing.assert_allclose(pixels_of(again, "decoded"), pixels_of(page, "decoded").astype(int), atol=1)


def test_keys_move_on_the_plane_and_take_the_nearest_image(page):
    go(page, "#z=0.5,0.5")
    step = half_of(page) / 33

    page.focus("#plane")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    rest(page)

    np.testing.assert_allclose(latent_of(page), [[0.5 + step, 0.5 - 5 * step]], atol=1e-3)
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('original-name').textContent !== 'no image'")
    rest(page)
    assert "image" in address_of(page)
    name = page.inner_text("#original-name")
    page.wait_for_function(
        "(name) => document.getElementById('spoken').textContent.endsWith(`nearest image ${name}`)", arg=name
    )


def test_a_slider_moves_its_dimension_and_reset_goes_to_the_middle(page):
    page.get_by_label("z₁, KL").fill("1.5")
    rest(page)
    np.testing.assert_allclose(latent_of(page), [[0.5, 1.5]], atol=0.02)
    page.click("#reset")
    rest(page)
    np.testing.assert_array_equal(latent_of(page), [[0, 0]])


def test_a_file_that_is_opened_goes_through_the_encoder_and_another_one_is_refused(page, digits):
    image = load_dataset("sample").test.images[11]
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0]).save(buffer, "PNG")

    page.set_input_files("#file", {"name": EVIL, "mimeType": "image/png", "buffer": buffer.getvalue()})
    page.wait_for_function("(name) => document.getElementById('original-name').textContent === name", arg=EVIL)
    rest(page)

    np.testing.assert_array_equal(pixels_of(page, "original"), image)
    np.testing.assert_allclose(latent_of(page), digits.encode(image[None])[0], atol=LATENT)
    page.set_input_files("#file", {"name": "words.txt", "mimeType": "text/plain", "buffer": b"words"})
    page.wait_for_function("() => document.getElementById('status').textContent.includes('words.txt is not an image')")


def test_a_walk_follows_the_sphere_and_is_saved_as_gif_and_png(page, digits):
    go(page, "#z=1.2,1")
    # The walk that a page begins with goes through images; this one through two places.
    for _ in range(3):
        page.locator("#walk-places button").first.click()
    page.click("#walk-add")
    page.get_by_label("z₀, KL").fill("-1.5")
    page.click("#walk-add")
    rest(page)
    start, end = np.array([[1.2, 1]]), np.array([[-1.5, 1]])
    page.locator("#walk-position").fill("0.25")
    rest(page)

    np.testing.assert_allclose(latent_of(page), slerp(start, end, 5)[:, 1], atol=1e-3)
    with page.expect_download() as download:
        page.click("#walk-gif")
    with Image.open(download.value.path()) as animation:
        assert (animation.n_frames, animation.size, animation.info["loop"]) == (40, (224, 224), 0)
        for frame in (0, 10, 20, 30):
            animation.seek(frame)
            found = np.asarray(animation.convert("L"))[4::8, 4::8]
            place = slerp(start, end, 21)[:, frame if frame <= 20 else 40 - frame]
            assert difference(found[..., None], digits.decode(place.astype(np.float32))[0]) <= PIXELS
    with page.expect_download() as download:
        page.click("#walk-png")
    with Image.open(download.value.path()) as strip:
        assert strip.size == (6 * 252, 252)


def test_a_walk_that_is_played_moves_and_can_be_stopped(page):
    before = address_of(page)["z"]
    page.click("#walk-play")
    page.wait_for_function("() => Number(document.getElementById('walk-position').value) > 0.1")
    page.click("#walk-play")
    rest(page)
    assert address_of(page)["z"] != before
    assert page.inner_text("#walk-play") == "Play"


def test_samples_are_drawn_from_the_prior_and_lead_to_their_places(page, digits):
    drawn = []
    for number in range(6):
        page.locator("#samples button").nth(number).click()
        rest(page)
        drawn.append(latent_of(page)[0])
        assert difference(pixels_of(page, "decoded"), digits.decode(drawn[-1][None])[0]) <= PIXELS
    # 12 draws from N(0, 1): their deviation is outside of these with a chance of less than 1e-6.
    assert 0.2 < np.std(drawn) < 2.6
    assert np.abs(drawn).max() < 6


def test_the_page_fits_a_phone_and_works_with_a_finger(address, open_page, digits):
    page = open_page(address, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    # The plane has the width of a new canvas here, which is not square.
    assert page.evaluate("() => [document.querySelector('#plane')].every(({ width, height }) => width === height)")
    page.locator("#plane").scroll_into_view_if_needed()
    box = page.locator("#plane").bounding_box()
    page.touchscreen.tap(box["x"] + 0.98 * box["width"], box["y"] + 0.98 * box["height"])
    rest(page)
    z = latent_of(page)
    assert z[0, 0] > 2
    assert z[0, 1] < -2
    assert difference(pixels_of(page, "decoded"), digits.decode(z)[0]) <= PIXELS
    # The image stays in view above the plane.
    image = page.locator("#decoded").bounding_box()
    assert image["y"] >= 0
    assert image["y"] + image["height"] <= box["y"] + box["height"]


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_shifts_while_the_page_starts_or_an_image_comes(address, open_page, width):
    page = open_page(address, viewport={"width": width, "height": 800})
    rest(page)
    assert shifted(page) == 0


def test_names_of_strangers_are_shown_as_they_are(open_page, runtime_folder, tmp_path):
    (folder,) = ROOT.glob("saved_models/mnist-latent2/*/tflite")
    exploration = make_exploration(image_shape=(28, 28, 1), name=EVIL, data=EVIL, label_names=(EVIL, "b", "c"))
    models = [(folder / f"{part}_fp16.tflite").read_bytes() for part in ("encoder", "decoder")]
    (tmp_path / "evil.html").write_text(offline_page(exploration, *models, find_runtime(runtime_folder)).html)

    page = open_page((tmp_path / "evil.html").as_uri())

    assert page.inner_text("h1") == EVIL
    assert page.locator("#legend li").first.inner_text() == EVIL
    assert page.locator("img").count() == 0


def test_a_conditional_model_decodes_as_the_class_that_is_pressed(open_page, runtime_folder, tmp_path):
    keras.utils.set_random_seed(0)
    vae = VAE(latent_dim=3, widths=(8,), groups=4, attention_resolution=0, mapping_layers=0, num_classes=10)
    vae.save(tmp_path / "conditional.keras")
    page = open_page(write_page(tmp_path / "conditional.keras", runtime_folder))
    rest(page)
    for label in (3, 8):
        page.locator("#classes button").nth(label).click()
        rest(page)
        assert address_of(page)["label"] == [label]
        assert difference(pixels_of(page, "decoded"), vae.decode(latent_of(page), np.array([label]))[0]) <= PIXELS
    assert page.locator("#classes button[aria-pressed=true]").count() == 1
    # The image is of another class; the address leads back to the class that was pressed.
    page.reload()
    page.wait_for_selector("body[data-ready]")
    rest(page)
    assert address_of(page)["label"] == [8]
    assert address_of(page)["image"] == [0]
    # Three dimensions have a second plane, whose moves change all of them.
    page.select_option("#plane-choice", label="principal components")
    before = latent_of(page)
    drag(page, "plane", [(0.5, 0.5), (0.7, 0.3)])
    rest(page)
    assert address_of(page)["plane"] == [1]
    assert np.all(latent_of(page) != before)


def test_a_spatial_model_in_colour_reconstructs_and_edits(open_page, runtime_folder, tmp_path):
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(12):
        Image.fromarray(random.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(
            tmp_path / "photos" / f"{number}.png"
        )
    vae = VAE((16, 16, 3), latent_shape=(8, 8, 4), widths=(8,), groups=4, attention_resolution=0)
    vae.save(tmp_path / "photos.keras")
    data = f"folder:{tmp_path / 'photos'}"
    page = open_page(write_page(tmp_path / "photos.keras", runtime_folder, data))
    mine = random.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(mine).save(buffer, "PNG")

    page.set_input_files("#file", {"name": "mine.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    page.wait_for_function("() => document.getElementById('original-name').textContent === 'mine.png'")
    rest(page)

    np.testing.assert_array_equal(pixels_of(page, "original", 3), mine)
    mean, _ = vae.encode(mine[None])
    assert difference(pixels_of(page, "decoded", 3), vae.decode(mean)[0]) <= PIXELS
    page.get_by_label("overall 1", exact=True).fill("2")
    rest(page)
    assert address_of(page)["offsets"] == [2, 0, 0, 0]
    shown = open_dataset(tmp_path, None, data, None, vae).test
    pca = PCA(1).fit(np.reshape(vae.encode(by_number(shown).images)[0], (-1, 4)))
    direction = pca.components_[0] * np.sqrt(pca.explained_variance_[0])
    direction *= np.sign(direction[np.abs(direction).argmax()])
    assert difference(pixels_of(page, "decoded", 3), vae.decode(mean + 2 * direction)[0]) <= PIXELS
    page.click("#walk-add")
    page.click("#reset")
    rest(page)
    assert difference(pixels_of(page, "decoded", 3), vae.decode(mean)[0]) <= PIXELS
    page.click("#walk-add")
    with page.expect_download() as download:
        page.click("#walk-gif")
    with Image.open(download.value.path()) as animation:
        assert (animation.n_frames, animation.size) == (40, (224, 224))
        animation.seek(20)
        found = np.asarray(animation.convert("RGB"))[7::14, 7::14]
    # Steps of a colour are 51, 43 and 51 apart, and dithering takes one of the two nearest.
    assert difference(found, vae.decode(mean)[0]) <= 51
    assert np.abs(found.mean(axis=(0, 1)) - 255 * np.mean(vae.decode(mean)[0], axis=(0, 1))).max() < 4

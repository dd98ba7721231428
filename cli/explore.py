"""``keras-vae explore``: a page to walk through the latent space, served on this machine or as one file."""

from __future__ import annotations

import tempfile
import webbrowser
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_vae.errors import InputError
from keras_vae.export.manifest import read_manifest

from .options import overwrite_option, run_argument, with_data_options
from .outputs import check_output, writing
from .runtime import class_names_of, exported_version, open_dataset, open_model, say, stderr_held_back
from .values import FilePath

if TYPE_CHECKING:
    import numpy as np

    from keras_vae.data import ImageDataset
    from keras_vae.explorer import Exploration, Runtime
    from keras_vae.models import VAE

# Bytes of both LiteRT files of a page. Base64 makes a third more of them, and a phone holds them several times.
MOST_BYTES = 48_000_000
# Draws of a prior that the page cannot draw from.
DRAWS = 120
# Data sets whose digits are centred and scaled as MNIST's are.
CENTRED = ("mnist", "mnist-sample", "emnist")


@click.command("explore", short_help="Walk through the latent space in a browser.")
@run_argument
@with_data_options
@click.option(
    "--out", type=FilePath(), help="HTML file to write, which works by itself; by default the page is served."
)
@click.option(
    "--runtime",
    type=FilePath(),
    metavar="DIR",
    help="For --out: the node_modules with LiteRT.js.  [default: ./node_modules, or what npm installs into a cache]",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the served page; by default a free one.")
@click.option("--no-browser", is_flag=True, help="Serve the page without opening it.")
@overwrite_option
def command(
    run: Path,
    dataset: str | None,
    data_dir: str | None,
    out: Path | None,
    runtime: Path | None,
    port: int | None,
    no_browser: bool,
    overwrite: bool,
) -> None:
    """Open a page on the latent space of RUN, with test images of the data that it was trained on.

    Drag through the space, and the image follows. Draw a digit or drop an image, and it lands where the encoder puts
    it. Walk between images, and save the walk. For a spatial latent the page edits images.

    The page is served to this machine alone, and LiteRT files encode and decode in this process. With --out it is one
    file that needs no server, no network and no Python. RUN is a run directory, a .keras file, an exported model, or a
    published model such as mnist-latent2.

    \b
    Examples:
      keras-vae explore runs/mnist-latent2
      keras-vae explore mnist-latent16 --dataset sample --port 8000 --no-browser
      keras-vae explore runs/mnist-latent2 --out explorer.html
    """
    found = None
    if out is not None:
        check_output(out, overwrite=overwrite, suffix=".html")
        from keras_vae.explorer import find_runtime

        found = find_runtime(runtime)
    elif port is not None:
        from keras_vae.explorer import check_port

        check_port(port)
    vae, config = open_model(run)
    if out is not None:
        _check_size(run, vae)
    data = open_dataset(run, config, dataset, data_dir, vae)
    images, labels = _shown_images(data, vae)
    exploration = _exploration(run, vae, data, images, labels)
    with ExitStack() as stack:
        # A file is half as large with float16, and its pixels are the same to a 255th.
        files = _lite_files(run, vae, images, labels, "fp32" if out is None else "fp16", stack)
        if out is None or found is None:
            _serve(exploration, files, vae.num_classes or 1, port, opens_browser=not no_browser)
        else:
            _write(out, exploration, files, found)


@dataclass(frozen=True)
class _LiteFiles:
    encoder: Path
    decoder: Path


def _check_size(run: Path, vae: VAE) -> None:
    """Refuse a model that is too large for a page, before it is converted.

    Raises:
        InputError: naming its size.
    """
    version = exported_version(run)
    if version:
        parameters = read_manifest(version).parameters["total"]
    else:
        parameters = vae.encoder.count_params() + vae.decoder.count_params()
    size = 2 * parameters
    if size > MOST_BYTES:
        raise InputError(
            f"{run}: its encoder and decoder are {size / 1e6:.0f} MB in float16, and a page holds "
            f"{MOST_BYTES / 1e6:.0f} MB; leave out --out to serve it"
        )


def _shown_images(data: ImageDataset, vae: VAE) -> tuple[np.ndarray, np.ndarray | None]:
    """Test images from all over the split, uint8 (N, H, W, C), and their labels."""
    import numpy as np

    from keras_vae.explorer.exploration import images_shown

    from .scored_images import by_number

    test = by_number(data.test)
    rows = np.linspace(0, test.count - 1, min(test.count, images_shown(vae.image_shape))).astype(int)
    return test.read(rows), None if test.labels is None else test.labels[rows]


def _exploration(run: Path, vae: VAE, data: ImageDataset, images: np.ndarray, labels: np.ndarray | None) -> Exploration:
    """What the page shows, with posteriors and draws of the model itself.

    Raises:
        InputError: if latents are not finite.
    """
    import numpy as np

    from keras_vae.data import ArraySplit
    from keras_vae.explorer import Exploration
    from keras_vae.layers import StandardNormal
    from keras_vae.training.posteriors import posteriors_of

    say(f"encoding test images of {data.name} ({len(images):,})")
    means, log_vars, _ = posteriors_of(vae, ArraySplit(images, labels), len(images))
    if not (np.isfinite(means).all() and np.isfinite(log_vars).all()):
        raise InputError(f"{run}: its latents are not finite numbers; train it again")
    is_normal = isinstance(vae.prior, StandardNormal)
    draws = draw_labels = None
    if not is_normal:
        if vae.num_classes is not None:
            draw_labels = (np.arange(DRAWS) % vae.num_classes).astype(np.int32)
        of_class = () if vae.bottleneck.num_classes is None else (draw_labels,)
        draws = np.asarray(vae.bottleneck.sample(DRAWS, 0, *of_class), np.float32).reshape(DRAWS, -1)
    classes = None
    if vae.num_classes is not None:
        classes = class_names_of(run, vae) or tuple(str(number) for number in range(vae.num_classes))
    return Exploration(
        name=_name(run),
        data=data.name,
        image_shape=vae.image_shape,
        latent_shape=tuple(vae.latent_shape),
        images=images,
        means=means,
        log_vars=log_vars,
        labels=labels,
        label_names=data.class_names,
        classes=classes,
        is_variational=vae.variational,
        is_standard_normal=is_normal,
        draws=draws,
        draw_labels=draw_labels,
        centres_drawings=data.name.partition("/")[0] in CENTRED,
    )


def _name(run: Path) -> str:
    """The name of the model: that of an exported version is in its manifest, since its folder's is a number."""
    version = exported_version(run)
    if version:
        return read_manifest(version).name
    return run.stem if run.suffix == ".keras" else run.resolve().name


def _lite_files(
    run: Path, vae: VAE, images: np.ndarray, labels: np.ndarray | None, precision: str, stack: ExitStack
) -> _LiteFiles:
    """The LiteRT files of an exported model, or new ones in a folder that goes with ``stack``.

    Raises:
        InputError: if an exported version has none.
    """
    version = exported_version(run)
    if version:
        files = [version / "tflite" / f"{part}_{precision}.tflite" for part in ("encoder", "decoder")]
        if missing := next((file for file in files if not file.is_file()), None):
            raise InputError(f"{version}: has no {missing.relative_to(version)}; export the run again, with --tflite")
        return _LiteFiles(*files)
    import numpy as np

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    say("converting encoder and decoder to LiteRT")
    # Converter and interpreter log lines that are not for users.
    with stderr_held_back():
        from keras_vae.export.tflite import write_tflite  # deferred: it imports TensorFlow

        # Enough to see that the files compute what the model does; one image is compared twice.
        few = np.arange(min(64, max(2, len(images)))) % len(images)
        pixels = images[few].astype(np.float32) / np.float32(255)
        write_tflite(vae, folder, pixels, None if labels is None else labels[few], precisions=(precision,))
    return _LiteFiles(*(folder / f"{part}_{precision}.tflite" for part in ("encoder", "decoder")))


def _write(out: Path, exploration: Exploration, files: _LiteFiles, runtime: Runtime) -> None:
    """Write the page as a file that works by itself."""
    from keras_vae.explorer import offline_page

    page = offline_page(exploration, files.encoder.read_bytes(), files.decoder.read_bytes(), runtime)
    with writing(out) as beside:
        beside.write_text(page.html, encoding="utf-8", newline="\n")
    click.echo(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")


def _serve(
    exploration: Exploration, files: _LiteFiles, num_classes: int, port: int | None, *, opens_browser: bool
) -> None:
    """Serve the page until Ctrl-C."""
    from keras_vae.explorer import ExplorerServer, LiteModels, served_page

    with stderr_held_back():
        models = LiteModels(files.encoder, files.decoder)
    with ExplorerServer(served_page(exploration), models, num_classes=num_classes, port=port or 0) as server:
        click.echo(f"serving {exploration.name} at {server.url} (Ctrl-C ends it)")
        if opens_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("stopped")

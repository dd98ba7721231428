"""``MODEL_CARD.md`` says what a published model is, how good it is, how to call it, and what its limits are.

Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from keras_vae.config import RunConfig
from keras_vae.data.class_names import describe_classes, recorded_names
from keras_vae.export.manifest import Manifest
from keras_vae.files import write_text
from keras_vae.training.command_line import training_command
from keras_vae.training.fid_note import fid_note

NAME = "MODEL_CARD.md"
# Names of data sets that hold MNIST's digits.
_MNIST = ("mnist", "mnist-sample")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#~&$])")


@dataclass(frozen=True)
class Training:
    """How a model was trained, as far as it was recorded.

    Args:
        path: the run directory.
        config: the run's settings.
        environment: the run's record of software and machine.
        epochs: number of epochs.
        seconds: total wall-clock time, or None if it was not recorded.
    """

    path: Path
    config: RunConfig
    environment: Mapping[str, Any]
    epochs: int
    seconds: float | None


def write_model_card(folder: Path, manifest: Manifest, training: Training | None) -> None:
    """Write ``MODEL_CARD.md``."""
    write_text(folder / NAME, model_card(manifest, training))


def model_card(manifest: Manifest, training: Training | None = None) -> str:
    """The card in Markdown. Markup in names and paths is escaped."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_as_text, autoescape=False
    )
    environment.filters |= {"code": _code, "count": _count, "markdown": _Markdown}
    source = resources.files("keras_vae.export").joinpath("model_card.md.j2").read_text(encoding="utf-8")
    text: str = environment.from_string(source).render(
        card=manifest,
        is_mnist=(manifest.data or {}).get("name") in _MNIST,
        data=_described(manifest.data),
        evaluated=_described(_section(manifest.evaluation, "data")),
        seed=_section(manifest.evaluation, "settings").get("seed"),
        metrics=_metric_rows(manifest),
        parameters=manifest.parameters["total"],
        training=training,
        machine=_machine(training),
        duration=_duration(training.seconds) if training and training.seconds is not None else None,
        commands=_commands(manifest, training),
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


class _Markdown(str):
    """Text that is Markdown already."""


def _as_text(value: Any) -> str:
    """A value as one line of Markdown, with markup escaped."""
    if isinstance(value, _Markdown):
        return value
    return _MARKUP.sub(r"\\\1", _one_line(value))


def _code(value: Any) -> _Markdown:
    """A value as a code span, with a fence longer than any run of backticks in it."""
    text = _one_line(value)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return _Markdown(f"{fence}{space}{text}{space}{fence}")


def _one_line(value: Any) -> str:
    text = " ".join(str(value).split())
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "an unknown number of"


def _section(values: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    found = (values or {}).get(name)
    return found if isinstance(found, Mapping) else {}


def _described(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """The run's record of its data, with a value for every field of the card."""
    counts, digests = _section(data, "counts"), _section(data, "sha256")
    return {
        **{name: (data or {}).get(name) or "not recorded" for name in ("name", "source")},
        "version": (data or {}).get("version"),
        "train": counts.get("train"),
        "test": counts.get("test"),
        "classes": _classes(data),
        "digests": {split: digest for split, digest in digests.items() if digest},
    }


def _classes(data: Mapping[str, Any] | None) -> str | None:
    names = recorded_names(data)
    return None if names is None else describe_classes(names, None)


def _metric_rows(manifest: Manifest) -> list[tuple[str, str, str]]:
    """Rows of the metrics table: name, value with unit, and how it was measured."""
    metrics, settings = (_section(manifest.evaluation, name) for name in ("metrics", "settings"))

    def setting(name: str) -> str:
        return _count(settings.get(name))

    likelihood = f"{manifest.likelihood} likelihood with scale {manifest.likelihood_scale:.4g}"
    frechet = f"VGG16 features (relu3_3), {setting('frechet_images')} images each; not comparable with published FID"
    network = str(settings.get("fid_weights_sha256", "not recorded"))
    fid = f"Inception features (network with the SHA-256 {network}), {fid_note(settings.get('frechet_images'))}"
    rows = (
        ("mse", "MSE", ".5f", "", "mean over pixels in [0, 1], reconstruction through the posterior mean"),
        ("psnr", "PSNR", ".2f", " dB", "same reconstruction, peak 1"),
        ("ssim", "SSIM", ".4f", "", "Wang et al. 2004, Gaussian window of 11 pixels"),
        ("lpips", "LPIPS", ".4f", "", "VGG16, three taps, Zhang et al. 2018"),
        ("elbo", "ELBO", ".2f", " nats", f"per image, one z per image; {likelihood}"),
        ("nll", "NLL given z", ".2f", " nats", f"per image; {likelihood}"),
        ("kl", "KL from the prior", ".2f", " nats", "per image"),
        (
            "importance_nll",
            "−log p(x)",
            ".2f",
            " nats",
            f"per image, importance sampling with {setting('importance_samples')} draws for each of "
            f"{setting('importance_images')} images",
        ),
        ("active_units", "Active units", ".0f", f" of {manifest.latent_dim}", "variance of the posterior mean > 0.01"),
        ("bits", "Rate of the codes", ".1f", " bits", "per image, −log2 p(codes)"),
        ("perplexity", "Perplexity of the codes", ".1f", "", "of how often the test images use each code"),
        ("used_codes", "Codes in use", ".1%", "", "by the test images"),
        (
            "knn_accuracy",
            "Class by nearest neighbours",
            ".2%",
            "",
            f"{setting('neighbours')} nearest of {setting('training_posteriors')} training images, by posterior mean",
        ),
        ("frechet_reconstructions", "Fréchet distance, reconstructions", ".2f", "", frechet),
        ("frechet_prior", "Fréchet distance, samples from the prior", ".2f", "", frechet),
        (
            "frechet_gmm",
            "Fréchet distance, samples from a Gaussian mixture",
            ".2f",
            "",
            f"{setting('components')} components, fitted to training latents; as above",
        ),
        ("fid_reconstructions", "FID, reconstructions (rFID)", ".2f", "", fid),
        ("fid_prior", "FID, samples from the prior", ".2f", "", "as above"),
        ("fid_gmm", "FID, samples from a Gaussian mixture", ".2f", "", f"{setting('components')} components; as above"),
    )
    return [
        (label, f"{metrics[key]:{digits}}{unit}", how)
        for key, label, digits, unit, how in rows
        if isinstance(metrics.get(key), int | float)
    ]


def _machine(training: Training | None) -> str:
    environment = training.environment if training else {}
    gpus = environment.get("gpus")
    kind = "no record of the machine"
    if isinstance(gpus, list):
        kind = f"{len(gpus)} × {gpus[0]}" if gpus else "CPU, no GPU"
    precision = _section(environment, "precision").get("value")
    return f"{kind}, {precision}" if precision else kind


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _commands(manifest: Manifest, training: Training | None) -> list[_Markdown]:
    """The commands that reproduce this version, for a code block."""
    if training is None:
        return []
    # The run's folder does not exist on the machines where the card is read.
    run = Path("runs", training.path.resolve().name)
    has_fid = "fid_weights_sha256" in _section(manifest.evaluation, "settings")
    weights = ["--fid-weights", "classify_image_graph_def.pb"] if has_fid else []
    commands = [
        training_command(run, training.config),
        shlex.join(["keras-vae", "evaluate", str(run), *weights]),
        shlex.join(["keras-vae", "export", str(run), "--name", manifest.name]),
    ]
    # No path may close the code block.
    return [_Markdown(_one_line(command).replace("```", "'''")) for command in commands]

"""The sentences of the report on data, figures and software."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras_vae.reports.runs import Run
from keras_vae.training.fid_note import fid_note


def data_sentence(runs: Sequence[Run]) -> str:
    """A sentence on training and test data, for runs with the same test images."""
    test = runs[0].evaluation_data
    shape = test.get("image_shape")
    size = f" of {'×'.join(map(str, shape))} pixels" if isinstance(shape, list) else ""
    measured = f"measured on {_counted(test, 'test')} test images{size}"
    names, counts = ({read(run.training_data) for run in runs} for read in (_name, _training_count))
    if names == {_name(test)} and len(counts) == 1:
        return f"{_name(test)}: trained on {counts.pop()} images, {measured}."
    trained = f"{counts.pop()} images of {names.pop()}" if len(names) == len(counts) == 1 else "different images"
    return f"Trained on {trained}; {measured} of {_name(test)}."


def meanings(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Each figure and its meaning, with the evaluation settings if the runs share them."""

    def shared(name: str) -> Any:
        values = {run.evaluation_settings.get(name) for run in runs}
        return values.pop() if len(values) == 1 else None

    def count(name: str) -> str:
        value = shared(name)
        return f"{value:,} " if isinstance(value, int) else ""

    said = [
        ("MSE", "Mean squared error over pixels in [0, 1], for the reconstruction through the posterior mean."),
        ("PSNR", "Peak signal-to-noise ratio of the same reconstruction, with a peak of 1."),
        ("SSIM", "Structural similarity (Wang et al. 2004), Gaussian window of 11 pixels."),
        ("LPIPS", "Distance of VGG16 features with weights fitted to human judgement (Zhang et al. 2018), three taps."),
        (
            "ELBO",
            "Lower bound of log p(x): −(NLL + KL), one z per image. Positive if pixels have densities above 1.",
        ),
        (
            "−log p(x)",
            f"Importance sampling (Burda et al. 2016) with {count('importance_samples')}draws of z for each of "
            f"{count('importance_images')}test images; on average a tighter bound than the ELBO.",
        ),
        (
            "NLL, KL",
            "The two parts of the ELBO: how badly z explains the image, and how much information z has about it.",
        ),
        (
            "Active units",
            "Latent dimensions whose posterior mean has a variance over images above 0.01 (Burda et al. 2016).",
        ),
        (
            "Class by nearest neighbours",
            f"Fraction of test images with the class of most of their {count('neighbours')}nearest training images, by "
            "posterior mean.",
        ),
        (
            "Fréchet distance",
            f"Like FID (Heusel et al. 2017), but with VGG16 features (relu3_3): between {count('frechet_images')}test "
            f"images and as many reconstructions, decoded draws of the prior, or of a Gaussian mixture with "
            f"{count('components')}components. Not comparable with published FID figures.",
        ),
    ]
    if any(run.metrics.get("fid_reconstructions") is not None for run in runs):
        meaning = (
            "Fréchet Inception distance (Heusel et al. 2017): the same distance of features of the Inception network "
            f"(pool_3), of {fid_note(shared('frechet_images'))}; fewer images make it larger."
        )
        said.append(("FID", meaning))
    return said


def versions_sentence(runs: Sequence[Run]) -> str:
    """Software versions that all runs share: ``keras-vae 0.1.0, keras 3.15.1``."""
    packages = [_packages(run) for run in runs]
    shared = [name for name in packages[0] if all(other.get(name) == packages[0][name] for other in packages)]
    return ", ".join(f"{name} {packages[0][name]}" for name in shared if packages[0][name])


def _name(data: Mapping[str, Any]) -> str:
    return str(data.get("name", "an unnamed data set"))


def _training_count(data: Mapping[str, Any]) -> str:
    return _counted(data, "train")


def _counted(data: Mapping[str, Any], split: str) -> str:
    counts = data.get("counts")
    count = counts.get(split) if isinstance(counts, Mapping) else None
    return f"{count:,}" if isinstance(count, int) else "the"


def _packages(run: Run) -> Mapping[str, Any]:
    environment = run.recorded.get("environment")
    packages = environment.get("packages") if isinstance(environment, Mapping) else None
    return packages if isinstance(packages, Mapping) else {}

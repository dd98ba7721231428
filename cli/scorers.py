"""The scorer of ``keras-vae score``: fitted to a data set, or one that was kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_vae.errors import InputError

from .options import given_options
from .outputs import writing
from .runtime import say

if TYPE_CHECKING:
    from keras_vae.models import VAE
    from keras_vae.scoring import Scorer

    from .scored_images import Int32, UInt8

# Options that decide what is fitted.
_OF_FIT = ("method", "importance_samples", "regret_steps", "seed", "scorer_file")


def check_nothing_is_fitted(context: click.Context) -> None:
    """Check that no option beside ``--use-scorer`` says what to fit.

    Raises:
        InputError: if there is one.
    """
    for option in given_options(context, _OF_FIT):
        raise InputError(
            f"--use-scorer takes a scorer as it was fitted, and {option} says how to fit one; leave one out"
        )


def kept_scorer(file: Path, vae: VAE) -> Scorer:
    """The scorer in ``file``, which was fitted with this model.

    Raises:
        InputError: if it cannot be loaded, or was fitted with another model.
    """
    from keras_vae.scoring import load_scorer

    scorer = load_scorer(file)
    try:
        return scorer.on_copy(vae)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def fitted_scorer(
    vae: VAE,
    fitted: tuple[UInt8, Int32 | None],
    held_out: tuple[UInt8, Int32 | None],
    false_alarms: float | None,
    keep: Path | None,
    **arguments: Any,
) -> Scorer:
    """A scorer that learnt from images and their labels, and calibrated on others; written to ``keep`` if given.

    ``arguments`` are further ones of `Scorer`, whose own rate of ``false_alarms`` is taken for None.
    """
    from keras_vae.scoring.scorer import FALSE_ALARMS, Scorer

    say(f"learning what is normal from {len(fitted[0]):,} images, and comparing with {len(held_out[0]):,} others")
    labels = (fitted[1], held_out[1]) if vae.num_classes is not None else (None, None)
    scorer = Scorer(vae, false_alarms=false_alarms or FALSE_ALARMS, **arguments)
    scorer.fit(fitted[0], labels[0], held_out=held_out[0], held_out_labels=labels[1])
    if keep is not None:
        with writing(keep) as beside:
            scorer.save(beside)
        say(f"wrote {keep}")
    return scorer

"""Folder names that stand for splits, for masks, or for leftovers of the system."""

from __future__ import annotations

import re

TRAIN, VALIDATION, TEST = "train", "validation", "test"

_ROLES = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
# Words that add nothing to the name of a split: train_images, training_set, TrainData.
_FILLERS = frozenset({"set", "sets", "data", "dataset", "images", "image", "imgs", "img", "split", "folder"})
_GLUED = re.compile(rf"({'|'.join(sorted(_ROLES, key=len, reverse=True))})({'|'.join(sorted(_FILLERS))})")
_IMAGES = frozenset({"images", "image", "imgs", "img", "jpegimages", "photos", "pictures", "leftimg8bit"})
_MASKS = re.compile(
    r"(ground.?truths?|gt(fine|coarse)?|masks?|labels?|annotations?|segmentations?(class|object)?)", re.I
)
_FOLD = re.compile(r"(fold|split|cv|k)[ _.-]*[0-9]+", re.I)
# Folders made by operating systems, network drives and photo managers. Hidden folders are left out anyway.
_LEFTOVERS = frozenset(
    {
        "@eadir",
        "#recycle",
        "@recycle",
        "@recently-snapshot",
        "#snapshot",
        "$recycle.bin",
        "__macosx",
        "__pycache__",
        "lost+found",
        "system volume information",
        "thumbs",
        "thumbnails",
    }
)


def role_of(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The split that a folder name stands for, and the rest of the name; None for other names.

    ``Train``, ``training_set`` and ``train2017`` are ``("train", ())``, ``seg_train`` is ``("train", ("seg",))``.
    """
    # Words end at digits, punctuation and new capitals: train2017, seg_train, trainA.
    parts: list[str] = []
    for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+", name):
        glued = _GLUED.fullmatch(word.lower())
        parts += glued.groups() if glued else [word.lower()]
    roles = [part for part in parts if part in _ROLES]
    if len(roles) != 1:
        return None
    return _ROLES[roles[0]], tuple(part for part in parts if part not in _ROLES and part not in _FILLERS)


def is_for_images(name: str) -> bool:
    """Whether a folder name just says that there are images in it: ``images``, ``JPEGImages``."""
    return name.lower() in _IMAGES


def is_for_masks(name: str) -> bool:
    """Whether a folder name stands for masks or annotations: ``ground_truth``, ``masks``, ``labels``."""
    return bool(_MASKS.fullmatch(name))


def is_fold(name: str) -> bool:
    """Whether a folder name stands for one of several splits of the same images: ``fold1``."""
    return bool(_FOLD.fullmatch(name))


def is_leftover(name: str) -> bool:
    """Whether a folder is hidden or belongs to the system: ``@eaDir``, ``__MACOSX``, ``thumbs``."""
    return name.startswith(".") or name.lower() in _LEFTOVERS

"""Reading the layout of a folder: its training images, its test images and their classes.

The names of split folders are recognised in any case: ``train``, ``Training``, ``training_set``, ``seg_train``;
``val``, ``valid``, ``validation``; ``test``, ``testing``, ``test_set`` (ImageNet, Kaggle, Roboflow, Keras). They may
lie under ``images`` beside ``labels`` (YOLO), or in each class folder. An ambiguous layout is refused, or read as the
guide documents, with a line that says how.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from keras_vae.data.folder_classes import (
    Classified,
    are_classes,
    by_class,
    listed,
    why_no_classes,
    with_classes,
    with_lost,
    without_classes,
)
from keras_vae.data.folder_scan import Folder
from keras_vae.data.folder_splits import (
    can_be_tested,
    complete_splits,
    is_mvtec,
    is_organised,
    lone_splits,
)
from keras_vae.data.split_names import TEST, TRAIN, VALIDATION, is_fold, is_for_images, is_for_masks, role_of
from keras_vae.errors import InputError

_ASIDE, _MASKS = "beside the class folders", "masks or labels"


@dataclass(frozen=True)
class Layout:
    """How a folder is read.

    Args:
        train: the images to train on.
        test: the images to test on, or None if a share of ``train`` is to be kept for testing.
        how: how the folder is read, if that needs to be said.
        unlabelled: why the images have no classes, if they have none.
        left_out: the reason to leave out the images in a folder; the innermost folder counts.
    """

    train: Classified
    test: Classified | None = None
    how: str | None = None
    unlabelled: str | None = None
    left_out: dict[Path, str] = field(default_factory=dict)

    def count_left_out(self, images: Iterable[Path]) -> Counter[str]:
        """Number of images in neither split, by reason."""
        used = {*self.train.paths, *(self.test.paths if self.test else ())}
        return Counter(self._reason(path) for path in images if path not in used)

    def _reason(self, path: Path) -> str:
        return next((self.left_out[folder] for folder in path.parents if folder in self.left_out), _ASIDE)


def read_layout(root: Folder) -> Layout:
    """Read the layout of the images below ``root``.

    Raises:
        InputError: when splits cannot be told apart, or would be trained on as classes.
    """
    reader = _Reader(root)
    return replace(reader.read(), left_out=reader.left_out)


class _Reader:
    """Reads the layout of one folder, and collects ``left_out`` on the way."""

    def __init__(self, root: Folder) -> None:
        self.left_out: dict[Path, str] = {}
        self._root = self._without_masks(root)

    def read(self) -> Layout:
        place = self._enter(self._root)
        return (
            self._read_splits(place)
            or self._read_lone_split(place)
            or self._read_splits_in_classes(place)
            or self._read_classes(place)
        )

    def _without_masks(self, folder: Folder) -> Folder:
        """The same tree without ``masks/`` and ``labels/`` where they lie beside the one folder with images."""
        kept = folder.folders
        others = [child for name, child in folder.children.items() if not is_for_masks(name)]
        if len(others) == 1 and (is_for_images(others[0].path.name) or complete_splits(others[0])):
            for name, child in folder.children.items():
                if is_for_masks(name):
                    self._leave_out(child, _MASKS)
            kept = {name: child for name, child in kept.items() if not is_for_masks(name)}
        return replace(folder, folders={name: self._without_masks(child) for name, child in kept.items()})

    def _enter(self, folder: Folder, *, role: str | None = None, keep: Collection[str] = ()) -> Folder:
        """The innermost folder that contains all images, inside of ``dataset/`` or ``images/``.

        Args:
            folder: the folder to start from.
            role: the role of the folder, if it is a split. A folder with the same role in it is entered.
            keep: names of class folders, which are not entered.
        """
        while True:
            children = folder.children
            if len(children) != 1 or any(child.is_lost for child in folder.folders.values()):
                return folder
            ((name, child),) = children.items()
            found = role_of(name)
            if name in keep or (found and not found[1] and found[0] != role):
                return folder
            if folder.files:
                if not is_organised(child):
                    return folder
                if len(folder.files) >= child.count:
                    raise self._refuse(
                        f"{len(folder.files):,} images lie beside {self._shown(child)}, which has folders of its own",
                        f"name that folder (folder:{child.path}), or move the images into it",
                    )
                self.left_out[folder.path] = f"beside {name}"
            folder = child

    def _leave_out_others(self, place: Folder, splits: list[Folder], beside: str = "beside the splits") -> None:
        """Leave out everything beside the splits."""
        if place.files:
            self.left_out[place.path] = beside
        for name, child in place.children.items():
            if child not in splits:
                self._leave_out(child, _MASKS if is_for_masks(name) else beside)

    def _leave_out(self, folder: Folder, reason: str) -> None:
        self.left_out[folder.path] = f"in {folder.path.name} ({reason})"

    def _read_splits(self, place: Folder) -> Layout | None:
        """``train/`` beside ``test/`` or ``val/``."""
        splits = complete_splits(place)
        if not splits:
            return None
        if len(splits) > 1:
            names = [folder.path.name for roles in splits for folders in roles.values() for folder in folders]
            raise self._refuse(
                f"the folders {listed(names)} are the splits of several data sets",
                "move those of one into a folder of their own, as train and test",
            )
        roles = self._one_each(splits[0])
        train = roles.pop(TRAIN)
        if not train.count:
            raise InputError(f"{train.path}: has 0 image files that are read, which is too few to train on")
        self._leave_out_others(place, [train, *roles.values()])
        candidates = {role: roles[role] for role in (TEST, VALIDATION) if role in roles and roles[role].count}
        if not candidates:
            empty = listed([self._shown(folder) for folder in roles.values()])
            return self._read_share(train, f"{empty} has no images that are read")
        return self._read_sides(train, candidates, self._shown(train))

    def _read_sides(self, train: Folder, candidates: dict[str, Folder], train_shown: str) -> Layout:
        """A training folder and one or two to test on: ``test/`` is chosen, unless only ``val/`` has classes."""
        entered = [self._enter(folder, role=role) for role, folder in candidates.items()]
        in_several = {name for folder in entered if len(folder.children) > 1 for name in folder.children}
        inside = self._enter(train, role=TRAIN, keep=in_several)
        classes = set(inside.children)
        keep = classes if len(classes) > 1 or classes & in_several else set()
        sides = {role: self._enter(folder, role=role, keep=keep) for role, folder in candidates.items()}
        for folder in (inside, *sides.values()):
            self._check_no_splits_in(folder)
        fitting = [role for role, side in sides.items() if side.children.keys() & keep and are_classes(side)]
        is_labelled = bool(keep) and are_classes(inside)
        if is_labelled and not fitting and len(classes) > 1:
            return self._read_without_test(inside, list(candidates.values()), train_shown)
        chosen = fitting[0] if is_labelled and fitting else next(iter(sides))
        test, test_shown = sides[chosen], self._shown(candidates[chosen])
        for role, folder in candidates.items():
            if role != chosen:
                self._leave_out(folder, f"not used, since {test_shown} is tested on")
        how = f"{train_shown} is trained on, {test_shown} is tested on"
        if is_labelled and fitting:
            trained, tested = by_class(inside), by_class(test)
            how = with_classes(how, trained, tested, train_shown, test_shown)
            return Layout(trained, tested, with_lost(with_lost(how, inside, self._shown), test, self._shown))
        is_plain = len(inside.children) < 2 and len(test.children) < 2
        why = why_no_classes(inside, train_shown)
        how = how if is_plain else f"{how}; folders in them are no classes, since {why}"
        return Layout(without_classes(inside), without_classes(test), how, why)

    def _read_without_test(self, inside: Folder, unlabelled: list[Folder], train_shown: str) -> Layout:
        """Training classes beside a test split without classes, as in ImageNet and at Kaggle."""
        for folder in unlabelled:
            self._leave_out(folder, f"not in the class folders of {train_shown}")
        names = listed([self._shown(folder) for folder in unlabelled])
        verb = "have" if len(unlabelled) > 1 else "has"
        how = f"{names} {verb} none of the class folders of {train_shown}: {_share_of(train_shown)}"
        return Layout(by_class(inside), how=with_lost(how, inside, self._shown))

    def _read_lone_split(self, place: Folder) -> Layout | None:
        """A split folder without its counterpart."""
        found = lone_splits(place.children)
        if not found:
            return None
        lone = self._one_each(found)
        held = list(lone.values())
        others = {name: child for name, child in place.children.items() if child not in held}
        if len(held) == 1 and others and held[0].files and not held[0].children:
            # The folder is like its neighbours and has no counterpart. A class of vehicles may be called train.
            beside = f"{self._shown(held[0])} lies beside {listed(others)} without a counterpart"
            return self._read_classes(place, f"{beside}: it is read as a class of that name, not as a split")
        if TRAIN in lone:
            train = lone[TRAIN]
            if len(place.files) >= train.count:
                raise self._refuse(
                    f"{len(place.files):,} images lie beside {self._shown(train)}", "move them into it, or elsewhere"
                )
            self._leave_out_others(place, held, f"beside {train.path.name}")
            return self._read_share(train, "there is no test split")
        shown = listed([self._shown(folder) for folder in held])
        if others and any(self._enter(folder, role=role).children.keys() & others for role, folder in lone.items()):
            if place.files:
                self.left_out[place.path] = _ASIDE
            candidates = {role: lone[role] for role in (TEST, VALIDATION) if role in lone}
            return self._read_sides(Folder(place.path, [], others), candidates, f"what lies beside {shown}")
        if len(held) > 1 or others or place.files:
            raise self._refuse(f"has {shown} but no train/", "move the images to train on into train/")
        return self._read_share(held[0], "there is no other split")

    def _read_share(self, split: Folder, why: str) -> Layout:
        """A single split, of which a share is kept for testing."""
        shown, found = self._shown(split), role_of(split.path.name)
        layout = self._read_classes(self._enter(split, role=found[0] if found else None))
        how = f"{why}: {_share_of(shown)}"
        return replace(layout, how=f"{how}; {layout.how}" if layout.how else how)

    def _read_splits_in_classes(self, place: Folder) -> Layout | None:
        """Class folders that each have their own ``train/`` and ``test/``."""
        children = place.children
        splits = {name: found for name, child in children.items() if (found := complete_splits(child))}
        if not splits:
            return None
        first = children[min(splits)]
        advice = f"name one of them, such as folder:{first.path}"
        if others := children.keys() - splits:
            raise self._refuse(f"{listed(splits)} has splits in it and {listed(others)} has none", advice)
        if all(map(is_mvtec, children.values())):
            raise self._refuse(f"holds {len(children)} data sets in MVTec AD's layout", advice)
        if any(map(is_fold, children)) or any(len(found) > 1 for found in splits.values()):
            raise self._refuse(f"{listed(children)} split the same images in several ways", advice)
        roles = {name: self._one_each(found[0]) for name, found in splits.items()}
        have = [{role for role, folder in of_class.items() if folder.count} for of_class in roles.values()]
        in_all = have[0].intersection(*have)
        if TRAIN not in in_all or len(in_all) < 2:
            raise self._refuse(
                f"the classes {listed(roles)} have different splits", "give each of them images in train/ and in test/"
            )
        test = TEST if TEST in in_all else VALIDATION
        if place.files:
            self.left_out[place.path] = _ASIDE
        for name, of_class in roles.items():
            for role, folder in of_class.items():
                if role not in (TRAIN, test):
                    self._leave_out(folder, f"not used, since {of_class[test].path.name}/ is tested on")
            self._leave_out_others(children[name], list(of_class.values()))
        train, tested = (
            Classified({name: list(of_class[role].images()) for name, of_class in roles.items()})
            for role in (TRAIN, test)
        )
        how = "the class folders have splits of their own: train/ is trained on, "
        return Layout(train, tested, f"{how}{roles[min(roles)][test].path.name}/ is tested on")

    def _read_classes(self, place: Folder, how: str | None = None) -> Layout:
        """Several folders with few images beside them are classes. Otherwise the images have no classes."""
        self._check_no_splits_in(place)
        if len(place.children) > 1 and are_classes(place):
            self.left_out[place.path] = _ASIDE
            return Layout(by_class(place), how=with_lost(how, place, self._shown))
        why = why_no_classes(place, self._shown(place))
        if len(place.children) > 1:
            how = f"folders are no classes here, since {why}"
        return Layout(without_classes(place), how=with_lost(how, place, self._shown), unlabelled=why)

    def _one_each(self, roles: dict[str, list[Folder]]) -> dict[str, Folder]:
        """The folder of each split. Folders without images count only if there is no other."""
        one = {}
        for role, folders in roles.items():
            found = [folder for folder in folders if folder.count] or folders[:1]
            if len(found) > 1:
                raise self._refuse(
                    f"{listed([self._shown(folder) for folder in found])} may each be the {role} split",
                    "move all but one of them elsewhere",
                )
            one[role] = found[0]
        return one

    def _check_no_splits_in(self, folder: Folder) -> None:
        """Refuse splits further inside, whose test images would be trained on."""
        if any(can_be_tested(roles) for roles in complete_splits(folder)):
            raise self._refuse(f"{self._shown(folder)} has splits in it", f"name that folder: folder:{folder.path}")
        for child in folder.children.values():
            self._check_no_splits_in(child)

    def _refuse(self, found: str, advice: str) -> InputError:
        return InputError(f"{self._root.path}: {found}; {advice}")

    def _shown(self, folder: Folder) -> str:
        """The path of a folder relative to the root, or the root's own name."""
        inner = folder.path.relative_to(self._root.path).as_posix()
        return f"{folder.path.name if inner == '.' else inner}/"


def _share_of(shown: str) -> str:
    return f"a share of {shown} (--test-fraction) is kept for testing"

"""Layouts of folders: training images, test images, their classes, and the lines about the other files."""

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_vae.data.file_list import Splitting, find_files
from keras_vae.data.split_names import is_leftover, role_of
from keras_vae.errors import InputError

CATS_AND_DOGS = {"cat": 10, "dog": 10}


def make(root, files):
    """Empty files: ``{"train/cat": 3}`` is three PNGs in that folder, ``{"a/#.txt": 2}`` is a/0.txt and a/1.txt."""
    for where, count in files.items():
        pattern = where if "#" in where else f"{where}/#.png"
        (root / pattern).parent.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            (root / pattern.replace("#", str(index))).touch()
    return root


def within(name, files):
    return {f"{name}/{where}": count for where, count in files.items()}


def found(root, files):
    """Counts of the training and test files (by class, if there are any), and the lines for the user."""
    listing = find_files(make(root, files), Splitting())

    def counted(side):
        names = listing.class_names
        return len(side.paths) if side.labels is None else dict(Counter(names[label] for label in side.labels))

    return counted(listing.train), counted(listing.test), " ".join(listing.notes).replace(str(root), "")


SPLIT_NAMES = [
    ("train", "val"),
    ("train", "test"),
    ("Train", "Test"),
    ("TRAIN", "VALIDATION"),
    ("train", "valid"),
    ("training", "validation"),
    ("Training", "Testing"),
    ("training_set", "test_set"),
    ("trainset", "testset"),
    ("train_images", "test_images"),
    ("TrainData", "ValData"),
    ("train", "dev"),
    ("seg_train", "seg_test"),
    ("asl_alphabet_train", "asl_alphabet_test"),
    ("train2017", "val2017"),
]


@pytest.mark.parametrize(("train", "test"), SPLIT_NAMES)
def test_usual_names_of_splits_are_never_classes(tmp_path, train, test):
    files = {**within(train, CATS_AND_DOGS), **within(test, {"cat": 4, "dog": 3})}
    said = f": {train}/ is trained on, {test}/ is tested on"
    assert found(tmp_path, files) == ({"cat": 10, "dog": 10}, {"cat": 4, "dog": 3}, said)


@pytest.mark.parametrize(
    "name", ["trains", "trainer", "tests", "contest", "valley", "validity", "traintest", "train_test"]
)
def test_other_names_are_no_splits(name):
    assert role_of(name) is None


LAYOUTS = {
    "the same name twice, and a folder without a split (Kaggle)": (
        {
            **within("seg_train/seg_train", CATS_AND_DOGS),
            **within("seg_test/seg_test", {"cat": 2, "dog": 3}),
            "seg_pred/seg_pred": 7,
        },
        ({"cat": 10, "dog": 10}, {"cat": 2, "dog": 3}),
        "7 files are left out: 7 in seg_pred (beside the splits)",
    ),
    "images and labels in each split (Roboflow)": (
        {f"{split}/{kind}": 6 for split in ("train", "valid", "test") for kind in ("images", "labels/#.txt")},
        (6, 6),
        "train/ is trained on, test/ is tested on : 24 files are left out: 18 not images (.txt), "
        "6 in valid (not used, since test/ is tested on)",
    ),
    "splits in images and in labels (YOLO)": (
        {"images/train": 9, "images/val": 4, "labels/train/#.txt": 9, "labels/val/#.txt": 4},
        (9, 4),
        "images/train/ is trained on, images/val/ is tested on : 13 files are left out: 13 not images (.txt)",
    ),
    "masks beside images": (
        {"images/train": 9, "images/val": 4, "masks/train": 9, "masks/val": 4},
        (9, 4),
        "13 files are left out: 13 in masks (masks or labels)",
    ),
    "a test split without classes (ImageNet, Kaggle)": (
        {**within("Data/CLS-LOC/train", CATS_AND_DOGS), "Data/CLS-LOC/val": 4, "Data/CLS-LOC/test/unknown": 5},
        ({"cat": 9, "dog": 9}, {"cat": 1, "dog": 1}),
        "test/ and Data/CLS-LOC/val/ have none of the class folders of Data/CLS-LOC/train/: a share of",
    ),
    "a test split without classes, and a validation split with them": (
        {**within("train", CATS_AND_DOGS), **within("val", {"cat": 2, "dog": 1}), "test": 5},
        ({"cat": 10, "dog": 10}, {"cat": 2, "dog": 1}),
        "5 in test (not used, since val/ is tested on)",
    ),
    "good and defective things, and masks (MVTec AD)": (
        {"train/good": 9, "test/good": 3, "test/hole": 2, "test/cut": 2, "ground_truth/hole": 2, "ground_truth/cut": 2},
        ({"good": 9}, {"good": 3, "hole": 2, "cut": 2}),
        ": is in MVTec AD's layout: train/good is trained on, test/ also holds the defects cut and hole "
        ": 4 files are left out: 4 in ground_truth (masks or labels)",
    ),
    "a training split alone": (
        within("train", CATS_AND_DOGS),
        ({"cat": 9, "dog": 9}, {"cat": 1, "dog": 1}),
        "there is no test split: a share of train/ (--test-fraction) is kept for testing",
    ),
    "a training split, and a test split that is empty": (
        {**within("train", CATS_AND_DOGS), "test/#.heic": 3},
        ({"cat": 9, "dog": 9}, {"cat": 1, "dog": 1}),
        "test/ has no images that are read: a share of train/",
    ),
    "a test split beside classes": (
        {**CATS_AND_DOGS, "test/cat": 2, "test/dog": 3},
        ({"cat": 10, "dog": 10}, {"cat": 2, "dog": 3}),
        "what lies beside test/ is trained on, test/ is tested on",
    ),
    "splits in each class": (
        {"cat/train": 10, "cat/test": 2, "dog/train": 8, "dog/test": 3, "dog/val": 1},
        ({"cat": 10, "dog": 8}, {"cat": 2, "dog": 3}),
        "have splits of their own: train/ is trained on, test/ is tested on : 1 file is left out: 1 in val (not used",
    ),
    "a class that is called like a split": (
        {"train": 10, "bus": 10},
        ({"bus": 9, "train": 9}, {"bus": 1, "train": 1}),
        ": train/ lies beside bus without a counterpart: it is read as a class of that name, not as a split",
    ),
    "other classes in the splits": (
        {"train/a": 5, "train/b": 5, "test/a": 3, "test/c": 1},
        ({"a": 5, "b": 5}, {"a": 3, "c": 1}),
        "; classes in train/ alone: b, in test/ alone: c",
    ),
    "folders around the splits, and a stray file": (
        {**within("photos/data/train", CATS_AND_DOGS), **within("photos/data/test", {"cat": 2, "dog": 2}), "#.png": 1},
        ({"cat": 10, "dog": 10}, {"cat": 2, "dog": 2}),
        "1 file is left out: 1 beside photos",
    ),
    "a stray file in a split": (
        {**within("train", {**CATS_AND_DOGS, "#.png": 1}), **within("test", {"cat": 2, "dog": 2, "#.png": 1})},
        ({"cat": 10, "dog": 10}, {"cat": 2, "dog": 2}),
        "2 files are left out: 2 beside the class folders",
    ),
    "a stray file beside the classes": (
        {**CATS_AND_DOGS, "#.png": 1},
        ({"cat": 9, "dog": 9}, {"cat": 1, "dog": 1}),
        ": 1 file is left out: 1 beside the class folders",
    ),
    "a class in a format that is not read": (
        {**CATS_AND_DOGS, "bird/#.heic": 40},
        ({"cat": 9, "dog": 9}, {"cat": 1, "dog": 1}),
        ": bird/ has no images in a format that is read "
        ": 40 files are left out: 40 .heic (not read; convert them to JPEG or PNG)",
    ),
    "thumbnails and rubbish": (
        {
            **CATS_AND_DOGS,
            "@eaDir/#.jpg": 5,
            "cat/@eaDir/a": 3,
            ".thumbnails": 4,
            "__MACOSX/cat": 2,
            "Thumbs": 2,
            "$RECYCLE.BIN": 1,
            ".DS_Store#": 1,
        },
        ({"cat": 9, "dog": 9}, {"cat": 1, "dog": 1}),
        "files are left out: 8 in @eaDir, 4 in .thumbnails, 2 in Thumbs, 2 in __MACOSX, 1 hidden, 1 in $RECYCLE.BIN",
    ),
    "one folder": ({".": 20}, (18, 2), ""),
    "classes": (CATS_AND_DOGS, ({"cat": 9, "dog": 9}, {"cat": 1, "dog": 1}), ""),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_are_read_and_said(tmp_path, name):
    files, splits, said = LAYOUTS[name]
    *found_splits, notes = found(tmp_path, files)
    assert tuple(found_splits) == splits
    assert said in notes
    assert bool(said) == bool(notes)


REFUSED = {
    "several data sets": ({"trainA": 3, "trainB": 3, "testA": 2, "testB": 2}, "the splits of several data sets; move"),
    "two training splits": ({"train2014": 5, "train2017": 3, "val2017": 2}, "train2014/ and train2017/ may each be"),
    "no training split": ({"test/a": 3, "val/a": 3}, "has test/ and val/ but no train/; move the images"),
    "images beside a test split": ({".": 10, "test": 3}, "has test/ but no train/"),
    "a test split of other classes": ({**CATS_AND_DOGS, "test/x": 2, "test/y": 2}, "has test/ but no train/"),
    "some classes with splits": (
        {"cat/train": 9, "cat/test": 2, "dog": 8},
        "cat has splits in it and dog has none",
    ),
    "folds": (
        {f"fold{n}/{split}": 5 for n in (1, 2) for split in ("train", "test")},
        "split the same images in several ways",
    ),
    "categories of MVTec AD": (
        {f"{thing}/{part}": 2 for thing in ("bottle", "nut") for part in ("train/good", "test/good", "test/hole")},
        "holds 2 data sets in MVTec AD's layout; name one of them, such as folder:.*bottle",
    ),
    "splits further inside": ({"a/b/train": 4, "a/b/test": 3, "c": 4}, "a/b/ has splits in it; name that folder"),
    "an empty training split": ({"train/#.txt": 1, "test": 3}, "train: has 0 image files that are read"),
    "many images beside splits": (
        {"data/train": 4, "data/test": 3, ".": 9},
        "9 images lie beside data/, which",
    ),
    "no format that is read": (
        {"#.heic": 5},
        r"has 0 image files .* 5 files are left out: 5 \.heic \(not read; convert",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_layouts_that_can_be_read_in_two_ways_are_refused(tmp_path, name):
    files, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        found(tmp_path, files)


def test_many_files_beside_folders_mean_that_these_are_no_classes(tmp_path):
    listing = find_files(make(tmp_path, {"cat": 4, "dog": 4, ".": 4}), Splitting())
    why = f"4 images lie in {tmp_path.name}/ beside the folders cat and dog"
    assert (listing.class_names, listing.train.labels, listing.unlabelled) == (None, None, why)
    assert listing.notes == (f"{tmp_path}: folders are no classes here, since {why}",)
    assert len(listing.train.paths) + len(listing.test.paths) == 12


def test_classes_that_are_numbers_are_in_the_order_of_numbers(tmp_path):
    listing = find_files(make(tmp_path, {str(number): 2 for number in range(1, 13)}), Splitting())
    assert listing.class_names == tuple(map(str, range(1, 13)))


def test_of_many_reasons_the_largest_are_named_and_the_rest_counted(tmp_path):
    endings = (".heic", ".heif", ".jp2", ".jxl", ".nef", ".psd", ".svg", ".tga", ".dcm", ".ico")
    files = {f"a/#{ending}": 1 + (ending == ".ico") for ending in endings}
    _, _, notes = found(tmp_path, {**CATS_AND_DOGS, **files})
    assert "11 files are left out: 2 .ico" in notes
    assert notes.endswith(", 2 for other reasons")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    make(tmp_path, CATS_AND_DOGS)

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(InputError, match=r"cannot be opened \(Permission denied\)"):
        find_files(tmp_path, Splitting())


def test_a_pipe_is_not_waited_for(tmp_path):
    make(tmp_path, CATS_AND_DOGS)
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    listing = find_files(tmp_path, Splitting())
    assert listing.notes == (f"{tmp_path}: 1 file is left out: 1 no plain files",)


def assert_one_line(error, root):
    assert str(error).startswith(str(root))
    assert "\n" not in str(error)


names = st.sampled_from(
    [
        "train",
        "Test",
        "val",
        "cat",
        "dog",
        "10",
        "9",
        "images",
        "labels",
        "masks",
        "good",
        "ground_truth",
        "@eaDir",
        ".git",
    ]
)
files = st.sampled_from(["#.png", "#.JPG", "#.tiff", "#.heic", "#.txt", "#", ".#.png"])
folders = st.lists(names, max_size=4).map("/".join)


@given(spec=st.dictionaries(st.tuples(folders, files).map("/".join), st.integers(1, 6), min_size=1, max_size=9))
def test_every_file_is_used_once_or_counted_whatever_the_layout(tmp_path_factory, spec):
    root = make(tmp_path_factory.mktemp("layout"), {where.lstrip("/"): count for where, count in spec.items()})
    try:
        listing = find_files(root, Splitting())
    except InputError as error:
        assert_one_line(error, root)
        return
    train, test = set(listing.train.paths), set(listing.test.paths)
    assert not train & test
    assert train
    assert test
    total = sum(1 for path in root.rglob("*") if path.is_file())
    counted = [note.split(": ")[1] for note in listing.notes if " left out: " in note]
    left_out = int(counted[0].split()[0]) if counted else 0
    assert len(train) + len(test) + left_out == total
    for side in (listing.train, listing.test):
        inner = [path.relative_to(root).parts for path in side.paths]
        assert not any(is_leftover(part) for parts in inner for part in parts)
        if side.labels is not None:
            assert all(listing.class_names[label] in parts for label, parts in zip(side.labels, inner, strict=True))
    # No image in test/ is trained on if train/ lies beside it.
    for path in train:
        for folder in path.relative_to(root).parents:
            if (role_of(folder.name) or ("train",))[0] != "train":
                beside = [other for other in (root / folder).parent.iterdir() if other.name == "train"]
                assert not any(set(other.rglob("*")) & (train | test) for other in beside)

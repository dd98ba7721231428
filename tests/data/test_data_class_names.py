"""Names of classes: ordering, showing and finding them."""

import pytest

from keras_vae.data.class_names import describe_classes, find_class, in_natural_order
from keras_vae.errors import InputError

MONTHS = tuple(map(str, range(1, 13)))


def test_numbers_in_names_are_sorted_as_numbers():
    assert in_natural_order({"10", "9", "1", "a10", "a2", "B", "a"}) == ["1", "9", "10", "B", "a", "a2", "a10"]


def test_names_without_numbers_keep_the_order_of_characters():
    names = ["Zebra", "apple", "cat", "cat dog", "cat-dog", "Äpfel"]
    assert in_natural_order(reversed(names)) == sorted(names)


@pytest.mark.parametrize(
    ("names", "counts", "shown"),
    [
        (("cat", "dog"), [40, 40], "0 cat 40, 1 dog 40"),
        (("cat", "dog"), None, "0 cat, 1 dog"),
        (("cat", "dog"), [1234, 0], "0 cat 1,234, 1 dog 0"),
        (("0", "1", "2"), [5, 7, 6], "0 to 2, of 5 to 7 images each"),
        (("0", "1", "2"), None, "0 to 2"),
        (MONTHS[:2], [3, 3], "0 1 3, 1 2 3"),
    ],
)
def test_classes_are_shown_with_numbers_and_counts(names, counts, shown):
    assert describe_classes(names, counts) == shown


def test_of_a_thousand_classes_the_first_are_shown():
    shown = describe_classes([f"n{number:08}" for number in range(1000)], [1300] * 1000)
    assert shown.startswith("0 n00000000 1,300, 1 n00000001 1,300")
    assert shown.endswith("11 n00000011 1,300 and 988 more")


@pytest.mark.parametrize(
    ("label", "names", "number"),
    [
        ("dog", ("cat", "dog"), 1),
        ("DOG", ("cat", "dog"), 1),
        ("1", ("cat", "dog"), 1),
        ("1", None, 1),
        ("12", MONTHS, 11),  # a name counts before a number
        ("0", MONTHS, 0),
        ("a", ("A", "a"), 1),
    ],
)
def test_a_class_is_found_by_name_or_number(label, names, number):
    assert find_class(label, names, 2 if names is None else len(names)) == number


@pytest.mark.parametrize(
    ("label", "names", "message"),
    [
        ("dgo", ("cat", "dog"), "no class 'dgo'; did you mean dog"),
        ("bird", ("cat", "dog"), "no class 'bird'; the classes are numbered 0 to 1 and named cat, dog"),
        ("2", ("cat", "dog"), "no class '2'; the classes are numbered 0 to 1"),
        ("-1", ("cat", "dog"), "no class '-1'"),
        ("²", ("cat", "dog"), "no class '²'"),
        ("9" * 5000, ("cat", "dog"), "no class '9999"),
        ("dog", None, "no class 'dog'; the classes are numbered 0 to 1, and their names are not recorded"),
    ],
)
def test_an_unknown_class_is_refused_with_those_that_there_are(label, names, message):
    with pytest.raises(InputError, match=message):
        find_class(label, names, 2)

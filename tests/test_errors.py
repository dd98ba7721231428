"""Messages stay one line, whatever they quote."""

import pickle

import pytest

from keras_vae.errors import InputError, nearest


@pytest.mark.parametrize(
    ("quoted", "shown"),
    [
        ("a\nb\r", r"a\nb\r"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\u2028b\x85", r"a\u2028b\x85"),
        ("Zahlen größer\u202fals 10 – ﬁn\\n", "Zahlen größer\u202fals 10 – ﬁn\\n"),
    ],
)
def test_what_would_break_the_line_or_steer_a_terminal_is_shown_escaped(quoted, shown):
    error = InputError(f"file: {quoted} is no number")

    assert str(error) == f"file: {shown} is no number"
    assert len(str(error).splitlines()) == 1
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("name", "found"), [("trian", "train"), ("TRAIN", "train"), ("eval", "Evaluate"), ("zzz", None), ("", None)]
)
def test_the_nearest_name_is_found_whatever_its_case(name, found):
    assert nearest(name, ("train", "Evaluate")) == found

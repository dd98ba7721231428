"""Strategies for damaged and hostile files."""

import copy
import json

from hypothesis import strategies as st


@st.composite
def damaged(draw, content):
    """``content`` with a few bytes changed, removed, added or repeated, and perhaps cut short."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4), "edits")):
        # At least half of the damage is near the start, where it does most.
        at = draw(st.one_of(st.integers(0, 64), st.integers(0, len(found))), "at")
        kind = draw(st.sampled_from(("flip", "set", "remove", "insert", "repeat")), "kind")
        length = draw(st.integers(1, 32), "length")
        piece = draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 4, b"\0" * 4])), "piece")
        if kind == "flip" and at < len(found):
            found[at] ^= 1 << length % 8
        elif kind == "set":
            found[at : at + len(piece)] = piece
        elif kind == "remove":
            del found[at : at + length]
        elif kind == "insert":
            found[at:at] = piece
        else:
            found[at:at] = found[at : at + length]
    if draw(st.booleans(), "cut"):
        del found[draw(st.integers(0, len(found)), "end") :]
    return bytes(found)


any_json = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=10),
        st.sampled_from(["../../etc/passwd", "/etc/passwd", "1e999", -1, 0, 2**70]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def damaged_json(draw, text):
    """The JSON in ``text`` with a few values replaced, removed or renamed, or damaged as bytes."""
    if draw(st.integers(0, 3), "as bytes") == 0:
        return draw(damaged(text.encode()))
    values = copy.deepcopy(json.loads(text))
    for _ in range(draw(st.integers(1, 3), "edits")):
        places = list(_places(values))
        if not places:
            break
        holder, key = draw(st.sampled_from(places), "place")
        kind = draw(st.sampled_from(("replace", "replace", "remove", "rename")), "kind")
        if kind == "replace":
            holder[key] = draw(any_json, "value")
        else:
            removed = holder.pop(key)
            if kind == "rename" and isinstance(holder, dict):
                holder[draw(st.text(max_size=8), "name")] = removed
    return json.dumps(values).encode()


def _places(values):
    """Every place, at any depth, where a value may be replaced."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield values, key
        yield from _places(value)

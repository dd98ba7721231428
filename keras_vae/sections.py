"""Groups of checked settings: frozen dataclasses that report a wrong value and convert to and from JSON."""

from __future__ import annotations

import dataclasses
import inspect
import math
import numbers
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from keras_vae.errors import InputError, nearest

T = TypeVar("T", bound="Section")


@dataclasses.dataclass(frozen=True)
class Section:
    """A group of settings. Each has its annotated type and is within the bounds in its field's metadata.

    Bounds are ``minimum``, ``above``, ``maximum``, ``below`` and ``choices``; they apply to every item of a tuple.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            shown = self.shown_name(field.name)
            value = _coerce(shown, getattr(self, field.name), hints[field.name])
            _check_bounds(shown, value, field.metadata)
            object.__setattr__(self, field.name, value)

    @staticmethod
    def shown_name(name: str) -> str:
        """A field's name in messages: that of its option."""
        return name.replace("_", "-")

    def as_dict(self) -> dict[str, Any]:
        """The fields and their values, sections as nested dictionaries."""
        return dataclasses.asdict(self)

    def replace(self: T, **changes: Any) -> T:
        """A copy with other values; ``section__field`` changes a field of a section.

        Raises:
            InputError: if a name is unknown (the message suggests the nearest) or a value is out of range.
        """
        nested: dict[str, dict[str, Any]] = {}
        for key in [key for key in changes if "__" in key]:
            section, _, name = key.partition("__")
            nested.setdefault(section, {})[name] = changes.pop(key)
        self._check_names([*changes, *nested])
        for section, values in nested.items():
            current = changes.get(section, getattr(self, section))
            if not isinstance(current, Section):
                raise InputError(f"{section} is not a section of {type(self).__name__}; it has no {next(iter(values))}")
            changes[section] = current.replace(**values)
        return dataclasses.replace(self, **changes)

    @classmethod
    def taken_from(cls: type[T], arguments: Mapping[str, Any]) -> tuple[T, dict[str, Any]]:
        """The section whose fields are among ``arguments``, and the other arguments.

        Raises:
            InputError: if a value is out of range.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        own = {name: value for name, value in arguments.items() if name in names}
        return cls(**own), {name: value for name, value in arguments.items() if name not in names}

    @classmethod
    def from_dict(cls: type[T], values: Any) -> T:
        """Build from the output of `as_dict` or from parsed JSON; missing fields take their defaults.

        Raises:
            InputError: if ``values`` is not a mapping, a key is unknown or a value is out of range.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"{cls.__name__}: expected an object of settings, got {values!r:.60}")
        cls._check_names(values)
        return cls(**values)

    @classmethod
    def _check_names(cls, names: Any) -> None:
        known = [field.name for field in dataclasses.fields(cls)]
        for name in names:
            if name not in known:
                near = nearest(str(name), known)
                hint = f"did you mean {near}?" if near else f"known settings: {', '.join(known)}"
                raise InputError(f"unknown setting {name!r:.60} of {cls.__name__}; {hint}")


def shows_fields_of(section: type[Section]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator of a function whose ``**kwargs`` take a section's fields: ``help()`` and completion then show them."""
    annotated = dataclasses.fields(section)

    def with_signature(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function)
        *own, rest = signature.parameters.values()
        fields = [
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
            for field in annotated
            if field.name not in signature.parameters
        ]
        function.__signature__ = signature.replace(parameters=[*own, *fields, rest])  # type: ignore[attr-defined]
        return function

    return with_signature


def _coerce(name: str, value: Any, hint: Any) -> Any:
    """Return ``value`` converted to the type ``hint`` (JSON has lists, not tuples), or raise InputError."""
    if isinstance(hint, types.UnionType):
        inner, _ = typing.get_args(hint)
        return None if value is None else _coerce(name, value, inner)
    if typing.get_origin(hint) is tuple:
        item, *others = typing.get_args(hint)
        length = None if Ellipsis in others else 1 + len(others)
        if not isinstance(value, list | tuple) or (length and len(value) != length) or not (value or item is str):
            wanted = "strings" if item is str else "whole numbers"
            raise InputError(f"{name} must be {length or 'one or more'} {wanted}, got {value!r:.60}")
        return tuple(_coerce(name, each, item) for each in value)
    if isinstance(hint, type) and issubclass(hint, Section):
        return value if isinstance(value, hint) else hint.from_dict(value)
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        value = int(value)  # NumPy's integers are none of Python's
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**53 else math.inf
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
        raise InputError(f"{name} must be {kinds[hint]}, got {value!r:.60}")
    if hint is float and not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, got {value}")
    return value


def _check_bounds(name: str, value: Any, bounds: Mapping[str, Any]) -> None:
    for item in value if isinstance(value, tuple) else (value,):
        if item is None:
            continue
        if "minimum" in bounds and item < bounds["minimum"]:
            raise InputError(f"{name} must be at least {bounds['minimum']}, got {item}")
        if "above" in bounds and item <= bounds["above"]:
            raise InputError(f"{name} must be above {bounds['above']}, got {item}")
        if "maximum" in bounds and item > bounds["maximum"]:
            raise InputError(f"{name} must be at most {bounds['maximum']}, got {item}")
        if "below" in bounds and item >= bounds["below"]:
            raise InputError(f"{name} must be below {bounds['below']}, got {item}")
        if "choices" in bounds and item not in bounds["choices"]:
            choices = [str(choice) for choice in bounds["choices"]]
            near = nearest(item, choices) if isinstance(item, str) else None
            hint = f"; did you mean {near}?" if near else ""
            raise InputError(f"{name} must be one of {', '.join(choices)}, got {item!r:.60}{hint}")

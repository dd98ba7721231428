"""The documents of the repository and the code in them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def texts():
    """(path, text) of every document."""
    return [(path, path.read_text(encoding="utf-8")) for path in DOCUMENTS]


def languages():
    """The languages of all code blocks."""
    return {match[1] for _, text in texts() for match in _BLOCK.finditer(text)}


def blocks(*languages):
    """(name, text) of every code block in one of these languages."""
    return [
        (f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 2}", match[2])
        for path, text in texts()
        for match in _BLOCK.finditer(text)
        if match[1] in languages
    ]


def commands(path):
    """Every command in a document's shell blocks, in order, with continued lines joined and comments removed."""
    return [
        command.strip()
        for name, text in blocks("bash", "sh")
        if name.startswith(f"{path.relative_to(ROOT)}:")
        for line in text.replace("\\\n", " ").splitlines()
        for command in re.split(r"\s&&\s", re.sub(r"(^|\s)#\s.*$", "", line))
        if command.strip()
    ]

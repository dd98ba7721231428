"""The documents of the repository and the code in them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def languages():
    """Those of all code blocks."""
    return {match[1] for path in DOCUMENTS for match in _BLOCK.finditer(path.read_text(encoding="utf-8"))}


def blocks(*languages):
    """(name, text) of every code block in one of the languages."""
    return [
        (f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 2}", match[2])
        for path in DOCUMENTS
        for text in [path.read_text(encoding="utf-8")]
        for match in _BLOCK.finditer(text)
        if match[1] in languages
    ]


def commands(path):
    """Every command of a document's shell blocks in order, continued lines joined and comments left out."""
    return [
        command.strip()
        for name, text in blocks("bash", "sh")
        if name.startswith(f"{path.relative_to(ROOT)}:")
        for line in text.replace("\\\n", " ").splitlines()
        for command in re.split(r"\s&&\s", re.sub(r"(^|\s)#\s.*$", "", line))
        if command.strip()
    ]

"""The documents of the repository and the code in them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(*languages):
    """(name, text) of every code block in one of the languages."""
    return [
        (f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 2}", match[2])
        for path in DOCUMENTS
        for text in [path.read_text(encoding="utf-8")]
        for match in _BLOCK.finditer(text)
        if match[1] in languages
    ]


def commands():
    """(name, words) of every ``keras-vae`` command in a shell block, continued lines joined and comments left out."""
    found = []
    for name, text in blocks("bash", "sh"):
        for line in text.replace("\\\n", " ").splitlines():
            for command in re.split(r"\s&&\s", re.sub(r"\s#\s.*$", "", line)):
                if command.startswith("keras-vae "):
                    found.append((f"{name} {command}", command))
    return found

"""Links and cross-references in the documents lead somewhere."""

import pydoc
import re

import pytest
from documents import ROOT, texts

# CHANGELOG and CONTRIBUTING have no code to execute, but they have links.
MORE = [ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
TEXTS = [*texts(), *((path, path.read_text(encoding="utf-8")) for path in MORE)]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_REFERENCE = re.compile(r"\]\[(keras_vae[\w.]+)\]")
LINKS = sorted({(str(path.relative_to(ROOT)), link) for path, text in TEXTS for link in _LINK.findall(text)})
REFERENCES = sorted({name for _, text in TEXTS for name in _REFERENCE.findall(text)})


def anchors(path):
    """The anchors of a Markdown file's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("document", "link"), [found for found in LINKS if "://" not in found[1]])
def test_a_relative_link_leads_to_a_file_and_a_heading_that_exist(document, link):
    target, _, anchor = link.partition("#")
    path = (ROOT / document).parent / target if target else ROOT / document
    assert path.exists()
    assert not anchor or anchor in anchors(path)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_cross_reference_names_something_that_exists(name):
    assert pydoc.locate(name) is not None

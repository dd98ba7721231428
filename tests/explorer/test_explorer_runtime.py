"""Where LiteRT.js is found, and what is said where it is not."""

import os

import pytest
from made_up_explorations import FILES, write_runtime

from keras_vae.errors import InputError
from keras_vae.explorer import find_runtime, runtime
from keras_vae.explorer.runtime import VERSION, cache_folder

# A program in the place of npm, which installs into the folder that it is started in.
NPM = """#!/bin/sh
echo "$@" >> "{log}"
[ -f package.json ] || exit 9
cp -r "{source}" node_modules
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, an empty cache, and no npm."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    return tmp_path / "here"


def install_npm(folder, text):
    """Put a program ``npm`` where programs are looked for; it may use those of the system."""
    programs = folder.parent / "programs"
    programs.mkdir()
    (programs / "npm").write_text(text.replace("\n", f"\nPATH={os.defpath}:/usr/bin\n", 1))
    (programs / "npm").chmod(0o755)


def test_the_folder_that_is_given_is_used(folder):
    found = find_runtime(write_runtime(folder / "modules"))
    assert found.version == VERSION
    assert found.files["core.js"].decode() == FILES["@litertjs/core/dist/index.js"]
    assert found.files["wasm"] == b"\0asm"


def test_otherwise_the_one_in_this_folder_is_used_and_npm_is_not_asked(folder):
    write_runtime(folder / "node_modules")
    assert find_runtime().version == VERSION
    assert not cache_folder().exists()


def test_npm_installs_the_pinned_version_into_the_cache_once(folder):
    log = folder / "log"
    install_npm(folder, NPM.format(log=log, source=write_runtime(folder / "source")))

    first, second = find_runtime(), find_runtime()

    assert first == second
    (line,) = log.read_text().splitlines()
    assert f"@litertjs/core@{VERSION} @litertjs/wasm-utils@{VERSION}" in line
    assert "--ignore-scripts" in line
    assert [path.name for path in cache_folder().parent.iterdir()] == [cache_folder().name]


def test_another_version_in_this_folder_is_not_used(folder):
    write_runtime(folder / "node_modules", version="9.9.9")
    with pytest.raises(InputError, match="npm is not here"):
        find_runtime()


def test_without_npm_one_line_says_how_to_get_the_runtime():
    with pytest.raises(InputError, match=f"npm install @litertjs/core@{VERSION} .*--runtime node_modules"):
        find_runtime()


def test_what_npm_says_when_it_fails_is_told_and_nothing_is_left(folder):
    install_npm(folder, "#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    with pytest.raises(InputError, match=r"npm cannot install LiteRT\.js \(npm error code ENOTFOUND\)"):
        find_runtime()
    assert not list(cache_folder().parent.iterdir())


def test_npm_that_does_not_come_back_is_given_up(folder, monkeypatch):
    install_npm(folder, "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(runtime, "PATIENCE", 0.2)
    with pytest.raises(InputError, match=r"did not install LiteRT\.js within 0\.2 s"):
        find_runtime()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: None, "no such folder; make it with npm install"),
        (lambda folder: folder.mkdir(), "has no @litertjs/core; there, run npm install"),
        (lambda folder: write_runtime(folder, version="1.0.0"), "has @litertjs/core '1.0.0', and the page takes"),
        (lambda folder: (write_runtime(folder) / next(iter(FILES))).unlink(), "cannot be read"),
        (
            lambda folder: (write_runtime(folder) / "@litertjs/core/package.json").write_text("["),
            "has no @litertjs/core",
        ),
    ],
    ids=["no folder", "nothing", "another version", "a missing file", "damaged"],
)
def test_a_folder_without_the_runtime_is_refused(folder, damage, words):
    damage(folder / "modules")
    with pytest.raises(InputError, match=words):
        find_runtime(folder / "modules")

"""The import graph points down, and heavy packages are imported only where they are needed."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Top-level modules that every subpackage may import; they import none of them.
COMMON = {"config", "errors", "files", "lazy", "sections"}
ROOMS_BELOW = {
    "layers": set(),
    "latents": {"layers"},
    "losses": {"layers"},
    # The LPIPS metric is the mean of the LPIPS loss: one computation, two uses.
    "metrics": {"layers", "losses"},
    "models": {"latents", "layers"},
    "scoring": {"models", "losses", "metrics", "latents", "layers"},
    "data": set(),
    "visualize": set(),
    "training": {"models", "losses", "metrics", "data", "latents", "layers"},
    "export": {"training", "scoring", "models", "losses", "data", "latents", "layers"},
    "callbacks": {"training", "visualize", "models", "losses", "metrics", "data", "latents", "layers"},
    "tfx": {"callbacks", "export", "training", "data"},
    "beam": {"export", "models", "losses", "metrics", "data"},
    # Takes arrays and LiteRT files.
    "explorer": {"visualize"},
    # Reports read finished runs; all they need from training is the run directory.
    "reports": {"training", "visualize"},
    "cli": {
        "beam",
        "explorer",
        "reports",
        "scoring",
        "callbacks",
        "export",
        "training",
        "visualize",
        "models",
        "losses",
        "metrics",
        "data",
        "latents",
        "layers",
    },
}
TENSORFLOW_ROOMS = {"training", "data", "callbacks", "export", "tfx", "beam", "cli"}
# The first frees what TensorFlow keeps of layers' gradients, and does nothing on other backends. The second gives
# methods as they are on others. The third runs TensorFlow's own graph beside any of them.
TENSORFLOW_ALONE = {"graph_memory", "graphs", "inception"}
BEAM = {"apache_beam", "pyarrow"}
# Packages whose names are loaded on first use.
LAZY = [
    path for path in sorted((ROOT / "keras_vae").rglob("__init__.py")) if "lazy_attributes" in path.read_text("utf-8")
]


def modules_of(room: str) -> list[Path]:
    return sorted((ROOT / "cli" if room == "cli" else ROOT / "keras_vae" / room).glob("*.py"))


def imported_names(path: Path) -> set[str]:
    """Dotted names of everything that a module imports anywhere; ``from a import b`` counts as ``a.b``."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_room_of_the_package_has_its_place_in_the_graph():
    rooms = {path.name for path in (ROOT / "keras_vae").iterdir() if (path / "__init__.py").exists()}
    assert rooms == ROOMS_BELOW.keys() - {"cli"}
    assert {path.stem for path in (ROOT / "keras_vae").glob("*.py")} == COMMON | {"__init__", "__main__"}


@pytest.mark.parametrize("room", ROOMS_BELOW)
def test_a_room_imports_only_rooms_below_it(room):
    assert modules_of(room)
    for path in modules_of(room):
        used = {name.split(".")[1] for name in imported_names(path) if name.startswith("keras_vae.")}
        assert used - COMMON - {room} <= ROOMS_BELOW[room], path


def test_the_common_modules_import_no_room():
    for name in COMMON:
        used = {other for other in imported_names(ROOT / "keras_vae" / f"{name}.py") if other.startswith("keras_vae.")}
        assert all(other.split(".")[1] in COMMON for other in used), name


@pytest.mark.parametrize("room", sorted(ROOMS_BELOW.keys() - TENSORFLOW_ROOMS))
def test_a_room_for_every_backend_does_not_name_tensorflow(room):
    for path in modules_of(room):
        if path.stem in TENSORFLOW_ALONE:
            continue
        assert not any(name.split(".")[0] == "tensorflow" for name in imported_names(path)), path


@pytest.mark.parametrize("room", sorted(ROOMS_BELOW.keys() - {"beam"}))
def test_one_room_alone_needs_the_extra_beam(room):
    for path in modules_of(room):
        assert not any(name.split(".")[0] in BEAM for name in imported_names(path)), path


@pytest.mark.parametrize(
    "statement",
    [
        "import keras_vae, keras_vae.beam",
        "import keras_vae.config",
        "import keras_vae_cli.train, keras_vae_cli.sample, keras_vae_cli.export, keras_vae_cli.experiment",
        "from keras_vae_cli import main, train, evaluate, encode, doctor",
    ],
)
def test_a_light_import_loads_neither_keras_nor_tensorflow(statement):
    heavy = {"keras", "tensorflow", "apache_beam", "numpy"}
    program = f"import sys; {statement}; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", LAZY, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_names_loaded_on_first_use_are_declared_for_type_checkers_and_the_documentation(package):
    module = importlib.import_module(".".join(package.parent.relative_to(ROOT).parts))
    declared = {
        alias.name: node.module
        for block in ast.parse(package.read_text(encoding="utf-8")).body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        for alias in node.names
    }
    assert declared == module._MODULES
    assert sorted(declared) == sorted(module.__all__)


def test_the_library_does_not_import_the_command_line():
    program = "import sys, keras_vae, keras_vae.config, keras_vae.reports; print('keras_vae_cli' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    for path in (ROOT / "keras_vae").rglob("*.py"):
        names = {name.split(".")[0] for name in imported_names(path)}
        assert "keras_vae_cli" not in names or path.name == "__main__.py", path


def test_public_names_are_loaded_on_first_use():
    import keras_vae

    assert keras_vae.InputError.__module__ == "keras_vae.errors"
    assert "VAE" in dir(keras_vae)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = keras_vae.nothing

"""No module imports from a higher layer, so each layer can be read without those."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "mbnet_jax"
# From the bottom to the top: what is directly in the package.
LAYERS = (
    (
        *("refusals", "schema", "files", "locks", "json_files", "images", "progress"),
        *("config", "configs", "overrides", "suggestions", "sources"),
    ),
    ("devices", "parsing"),
    ("retrieval", "synthetic", "backbones", "detection"),
    ("views",),
    ("models",),
    ("losses",),
    ("data",),
    ("runs",),
    ("evaluation",),
    ("training",),
    ("report",),
    ("search", "export", "own_images"),
    ("demo",),
    ("api", "exported_run", "index"),
    ("commands",),
    ("__init__",),
)
LAYER = {name: number for number, names in enumerate(LAYERS, 1) for name in names}


def imports(node: ast.AST) -> Iterator[str]:
    """Full names that source imports, also in functions; not those for type checkers.

    A name of `mbnet_jax` itself counts as imported from its `__init__`.
    """
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        children = node.orelse
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, f"{ast.unparse(node)}: relative imports are not checked"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in children:
        yield from imports(child)


def upward(own: str, source: str) -> list[str]:
    """The imports from higher layers in a file of `own`, a key of LAYER."""
    found = []
    for name in imports(ast.parse(source)):
        package, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        other = other if other in LAYER else "__init__"
        if package == PACKAGE.name and LAYER[other] > LAYER[own]:
            layers = f"{own} is on layer {LAYER[own]}, {other} on {LAYER[other]}"
            found.append(f"imports {name}, but {layers}")
    return found


def test_no_module_imports_from_a_higher_layer():
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found += [f"{file} {line}" for line in upward(own, file.read_text())]
    assert not found, "\n".join(found)


def test_everything_in_the_package_has_a_layer():
    parts = {file.relative_to(PACKAGE).parts[0] for file in PACKAGE.rglob("*.py")}
    assert {part.removesuffix(".py") for part in parts} == {*LAYER}


def test_imports_from_higher_layers_are_found():
    source = (
        "import jax, mbnet_jax.training.loop\n"
        "from mbnet_jax import Run, losses\n"
        "def f():\n    from mbnet_jax.training import loop\n"
        "if TYPE_CHECKING:\n    from mbnet_jax.api import Run\n"
    )
    assert len(upward("models", source)) == 4
    assert upward("training", source) == [
        "imports mbnet_jax.Run, but training is on layer 10, __init__ on 16"
    ]
    assert not upward("__init__", source)

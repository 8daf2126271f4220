"""The cache of compiled programs: reused, and optional."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from mbnet_jax.devices import compilation_cache

PROGRAM = """
import jax, jax.numpy as jnp
from mbnet_jax.devices import compilation_cache
hits = []
jax.monitoring.register_event_listener(
    lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None
)
folder = compilation_cache.enable()
for _ in range(2):
    assert jax.jit(lambda x: jnp.sin(x) @ x)(jnp.eye(3)).shape == (3, 3)
    jax.clear_caches()
print(folder, len(hits) > 0)
"""


def run(cache_home: Path, **more: str) -> list[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "JAX_COMPILATION_CACHE_DIR"
    } | {"XDG_CACHE_HOME": str(cache_home), **more}
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_a_program_is_compiled_once(tmp_path):
    folder = tmp_path / "mbnet_jax" / "xla"
    assert run(tmp_path) == [str(folder), "True"]
    assert any(folder.iterdir())


def test_an_unwritable_cache_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    assert run(tmp_path / "file") == ["None", "False"]


@pytest.mark.parametrize(
    "setting",
    [
        {"jax_compilation_cache_dir": "/mine"},
        {"jax_compilation_cache_dir": None, "jax_enable_compilation_cache": False},
    ],
)
def test_jax_settings_take_precedence(tmp_path, monkeypatch, setting):
    before = {name: getattr(jax.config, name) for name in setting}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, value in setting.items():
        jax.config.update(name, value)
    try:
        assert compilation_cache.enable() is None
        for name, value in setting.items():
            assert getattr(jax.config, name) == value
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
    assert not any(tmp_path.iterdir())

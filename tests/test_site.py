"""The documentation site: its contents, links and pages of files.

The site itself is built, and its links followed, where Sphinx is installed.
"""

import doctest
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

import mbnet_jax
from tools.site import contents, docstrings, sources, stage

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_every_page_is_staged_and_every_link_leads_to_a_page(tmp_path):
    stage.stage(tmp_path)
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*")}
    assert {"index.md", "readme.md", "retrieval.md", "benchmarks/index.md"} <= files
    assert "source/mbnet_jax/losses/total.py.md" in files
    for page in tmp_path.rglob("*.md"):
        if page.is_relative_to(tmp_path / "source"):
            continue
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^)\s#]+)", text):
            if ":" not in link:
                assert (page.parent / link).is_file(), f"{page.name}: {link}"


def small_repository(root: Path, **files: str) -> Path:
    (root / "docs").mkdir()
    (root / "docs/README.md").write_text("# First\n\n## Read\n\n- [A](a.md): that\n")
    (root / "docs/a.md").write_text("# A\n")
    for name, text in files.items():
        (root / name.replace("__", "/")).with_suffix(".md").write_text(text)
    return root


def test_links_keep_their_meaning_and_code_its_text(tmp_path):
    text = "[x](../setup.py) [y](README.md#read) [z](https://a.b)\n```\n](README.md)\n```\n"
    root = small_repository(tmp_path, docs__a=text)
    (root / "setup.py").write_text("pass\n")
    stage.stage(root / "out", root)
    assert (root / "out/a.md").read_text() == (
        "[x](source/setup.py.md) [y](index.md#read) [z](https://a.b)\n"
        "```\n](README.md)\n```\n"
    )
    assert "```python\npass\n```" in (root / "out/source/setup.py.md").read_text()


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"docs__a": "\n[x](b.md)\n"}, r"docs/a\.md:2 links to b\.md, which does not"),
        ({"docs__a": "[x](../../b.md)"}, r"docs/a\.md:1 links to \.\./\.\./b\.md"),
        ({"docs__b": "# B\n"}, r"docs/README\.md does not list docs/b\.md: add"),
        ({"OTHER": "# B\n"}, r"docs/README\.md does not list OTHER\.md: add"),
    ],
)
def test_what_would_be_lost_is_named(files, error, tmp_path):
    with pytest.raises(ValueError, match=error):
        stage.stage(tmp_path / "out", small_repository(tmp_path, **files))


def test_a_page_is_listed_once_under_its_first_heading():
    text = "# T\n- [N](n.md)\n## A\n- [B](b.md): c\nx [D](d.md)\n## E\n- [B](b.md)\n"
    assert contents.sections(text) == [contents.Section("A", (("B", "b.md"),))]


def test_a_fence_is_longer_than_those_in_the_file(tmp_path):
    (tmp_path / "a.sh").write_text("```\nx\n```")
    sources.write(tmp_path, Path("a.sh"), tmp_path)
    text = (tmp_path / "source/a.sh.md").read_text()
    assert re.search(r"^(`{4,})bash\n```\nx\n```\n\1$", text, re.M)


def test_docstrings_become_restructured_text():
    assert doctest.testmod(docstrings).failed == 0
    lists_no_fields = "Words: more.\nOther words follow: these."
    assert docstrings.with_attributes(lists_no_fields) == lists_no_fields


def test_the_api_names_all_that_the_package_exports():
    page = (ROOT / "tools/site/api/mbnet.rst").read_text()
    assert {*re.findall(r":: (\w+)$", page, re.M)} >= {*mbnet_jax.__all__}


def test_citation_badges_and_package_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]["text"]
    [paper] = citation["references"]
    assert f"doi {paper['doi']}" in (ROOT / "docs/method.md").read_text()
    badges = {p.stem: p.read_text() for p in (ROOT / "docs/badges").glob("*.svg")}
    assert f">{citation['license']}<" in badges["licence"]
    minors = [
        int(n) for n in re.findall(r"3\.(\d+)", badges["python"].split("</title>")[0])
    ]
    first, end = map(int, re.findall(r"3\.(\d+)", PROJECT["requires-python"]))
    assert sorted({*minors}) == [*range(first, end)]
    [low, high] = re.findall(
        r"^jax>=([\d.]+),<0\.(\d+)$", (ROOT / "requirements.txt").read_text(), re.M
    )[0]
    assert f">{low} to 0.{int(high) - 1}<" in badges["jax"]


class Links(HTMLParser):
    """Collects a page's addresses and the ids that links lead to."""

    def __init__(self, page: Path):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        """Takes one tag's attributes."""
        found = dict(attrs)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        self.links += [found[name] for name in ("href", "src") if found.get(name)]


@pytest.mark.skipif(
    importlib.util.find_spec("furo") is None, reason="needs requirements-docs.txt"
)
def test_the_site_is_built_and_no_link_is_broken(tmp_path):
    out = tmp_path / "site"
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    built = subprocess.run(
        [sys.executable, "-m", "tools.site", str(out)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert not built.returncode, built.stdout + built.stderr
    pages = {path.resolve(): Links(path) for path in out.rglob("*.html")}
    for path, page in pages.items():
        for link in page.links:
            address = urllib.parse.urlsplit(link)
            if address.scheme or address.netloc:
                loaded = re.search(
                    rf'(?:src|rel="stylesheet" href)="{link}', path.read_text()
                )
                assert not loaded, f"{path.name} loads {link}"
                continue
            target = path
            if address.path:
                target = (path.parent / urllib.parse.unquote(address.path)).resolve()
                assert target.is_file(), f"{path.relative_to(out)}: {link}"
            anchor = urllib.parse.unquote(address.fragment)
            if anchor and target in pages:
                assert anchor in pages[target].ids, f"{path.relative_to(out)}: {link}"
    api = pages[(out / "api/mbnet.html").resolve()].ids
    assert {f"mbnet_jax.{name}" for name in mbnet_jax.__all__} <= api

"""`mbnet-search --index`: its page, and flags that do not fit together."""

import pytest
from photos import make_folder, write_photo

from mbnet_jax.commands.search import main

pytestmark = pytest.mark.usefixtures("one_block")


def run(*arguments) -> None:
    main([str(argument) for argument in arguments])


def test_a_page_is_written_from_the_index(whole, tmp_path, capsys):
    pytest.importorskip("lancedb", reason="pip install -r requirements-index.txt")
    folder, out = make_folder(tmp_path / "photos"), tmp_path / "page.html"
    (tmp_path / "labels.csv").write_text("path,camera\na.jpg,c1\nb.JPG,c2\n")
    common = [
        *("--model", whole[0], "--query", write_photo(tmp_path / "q.jpg", 70)),
        *("--out", out, "--index", tmp_path / "index", "--cache", tmp_path / "cache"),
    ]
    fill = ["--gallery", folder, "--labels", tmp_path / "labels.csv"]
    run(*common, *fill)
    assert "7 photographs of" in capsys.readouterr().out
    text = out.read_text()
    assert f"the index {tmp_path / 'index'}" in text and "exact lists" in text
    assert text.count("<img") == 8  # the query and its list
    # Without the gallery; the table is too small for approximate lists.
    run(*common, "--camera", "c1,c3", "--approximate")
    text = out.read_text()
    assert text.count("<img") == 2 and str(folder / "a.jpg") in text
    assert "only photographs of camera c1 or c3; exact lists" in text
    other = ["--branches", "global", "--labels", tmp_path / "labels.csv"]
    with pytest.raises(SystemExit, match="names no photograph of"):
        run(*common, *other, "--gallery", write_photo(tmp_path / "b/c.jpg", 1).parent)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --gallery, the folder to search in, or --index"),
        (("--gallery=.", "--camera=c1"), "--camera needs --index"),
        (("--gallery=.", "--approximate"), "--approximate needs --index"),
        (("--index=x", "--labels=y"), "--labels are of the photographs in --gallery"),
        (("--index=x", "--gallery=.", "--boxes=y"), "show one person each"),
        (("--index=x", "--camera="), "--camera is empty"),
        (("--index=x", "--after=noon"), "--after: 'noon' must be a time such as"),
        (
            ("--index=x", "--after=2026-02-01", "--before=2026-02-01"),
            "--after must be earlier than --before",
        ),
    ],
)
def test_flags_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(SystemExit, match=message):
        run("--query=a.jpg", *arguments)

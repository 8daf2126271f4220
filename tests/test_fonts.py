"""Text in pictures: every character is drawn, in a font that has it."""

import re

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw, ImageFont

from mbnet_jax.report import fonts
from mbnet_jax.report.fonts import MAIN, Font, Run, runs
from mbnet_jax.report.ranked_lists import TEXT

CJK, THAI = "北京が서울", "ส"
CACHED = (fonts.system_fonts, fonts.font_file, fonts.code_points, fonts._loaded)


def make_font(file, characters):
    """Writes a font whose glyphs are squares of one em."""
    names = {ord(c): f"u{ord(c):X}" for c in characters}
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((1000, 0), (1000, 1000), (0, 1000)):
        pen.lineTo(point)
    pen.closePath()
    glyphs = dict.fromkeys((".notdef", *names.values()), pen.glyph())
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([*glyphs])
    builder.setupCharacterMap(names)
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": file.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(file)
    return str(file)


@pytest.fixture
def system(monkeypatch):
    """Sets the font files that the system has; none at first."""
    files = []
    monkeypatch.setattr(
        "matplotlib.font_manager.findSystemFonts", lambda *_, **__: files
    )

    def forget():
        for function in CACHED:
            function.cache_clear()

    def has(*found):
        forget()
        files[:] = map(str, found)

    forget()
    yield has
    forget()


def drawn(text, size=24):
    """The text as pixels, bool [H, W]; True where there is ink."""
    font = Font(size)
    picture = Image.new("L", (round(font.length(text)) + 8, 2 * size), 255)
    font.draw(ImageDraw.Draw(picture), (4, 4), text, 0)
    return np.asarray(picture) < 128


@pytest.mark.parametrize("text", ["Müller Łódź Đặng", "Γιώργος", "Дмитрий Їжак"])
def test_latin_greek_and_cyrillic_are_no_boxes(text, system):
    assert runs(text) == [Run(MAIN, text)]
    face = ImageFont.truetype(MAIN, 24)
    box = face.getmask("\U0010ffff")  # what a font draws for what it lacks
    for character in text.replace(" ", ""):
        mask = face.getmask(character)
        assert mask.getbbox() and bytes(mask) != bytes(box), character


def test_each_run_is_in_a_font_that_has_it(system, tmp_path):
    cjk = make_font(tmp_path / "cjk.ttf", CJK + ".jg")
    thai = make_font(tmp_path / "thai.ttf", THAI)
    system(cjk, thai)
    assert runs(f"Ω{CJK}_{THAI}.jpg") == [
        *(Run(MAIN, "Ω"), Run(cjk, CJK), Run(MAIN, "_")),
        *(Run(thai, THAI), Run(MAIN, ".jpg")),
    ]
    # Squares of one em, in ink, and measured.
    assert Font(24).length(CJK) == pytest.approx(24 * len(CJK), abs=1)
    assert drawn(CJK).sum() == pytest.approx(24 * 24 * len(CJK), rel=0.1)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("张伟_北京.jpg", "ZhangWei_BeiJing.jpg"),
        ("ひらがな", "hiragana"),
        ("서울", "SeoUl"),
        ("สวัสดี", "swasdi"),
        ("\U0001f9d1", ":adult:"),
    ],
)
def test_what_no_font_has_is_written_in_ascii(text, written, system):
    assert runs(text) == [Run(MAIN, written)]
    assert (drawn(text) == drawn(written)).all()


def test_fonts_of_no_use_are_passed_over(system, tmp_path):
    damaged, missing = tmp_path / "a.ttf", tmp_path / "b.ttf"
    damaged.write_bytes(b"no font")
    emoji = make_font(tmp_path / "ColorEmoji.ttf", CJK)
    last = make_font(tmp_path / "LastResort.otf", CJK)
    system(damaged, missing, emoji, last)
    assert runs("北京") == [Run(MAIN, "BeiJing")]
    good = make_font(tmp_path / "good.ttf", CJK)
    system(damaged, missing, emoji, last, good)
    assert runs("北京") == [Run(good, "北京")]


def test_the_most_suitable_font_is_chosen_in_whatever_order(system, tmp_path):
    names = ("NotoSans-R.ttf", "b.ttf", "ab.ttf", "NotoSans-Bold.ttf", "Thin.ttf")
    files = [make_font(tmp_path / name, CJK) for name in names]
    for order in (files, files[::-1]):
        system(*order)
        assert fonts.system_fonts()[:3] == tuple(files[:3])
        assert runs("北") == [Run(files[0], "北")]


@pytest.mark.parametrize("layout", [True, False])
def test_right_to_left_is_shaped_or_written_in_ascii(layout, system, monkeypatch):
    monkeypatch.setattr(fonts, "_RAQM", layout and fonts._RAQM)
    text = "דוד_محمد"
    assert runs(text) == [Run(MAIN, text if fonts._RAQM else "dvd_mhmd")]
    assert drawn(text).any()


def test_marks_stay_with_their_letter(system, tmp_path):
    # Composed where there is a composed character.
    assert runs("Zoe\u0308") == [Run(MAIN, "Zoë")]
    assert runs("\u1112\u1161\u11ab") == [Run(MAIN, "Han")]  # decomposed Hangul
    lone = make_font(tmp_path / "lone.ttf", THAI)
    system(lone)
    # The font has the letter, but not its mark.
    assert runs(f"{THAI}\N{THAI CHARACTER SARA II}") == [Run(MAIN, "si")]
    short = Font(24).shortened("q\u0323" * 90, 60)
    assert re.fullmatch("(q\u0323)+\N{HORIZONTAL ELLIPSIS}(q\u0323)+", short)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\u0301",
        "\ud800",
        "a\nb\r\x1b[2J",
        "\u202egpj.exe",
        "👩‍🦰🏽🇫🇷❤️",
        "\ue000\U0010ffff",
        "می\u200cخواهم",  # noqa: RUF001
        "田中\u3000太郎",
        "$x_{$",
    ],
)
def test_any_text_is_measured_drawn_and_shortened(text, system):
    font = Font(12)
    picture = Image.new("RGB", (60, 20))
    font.draw(ImageDraw.Draw(picture), (0, 0), text, TEXT)
    assert font.length(font.shortened(text * 20, 50)) <= 50
    line = fonts.one_line(text)
    assert fonts.one_line(line) == line and "\n" not in line and "\x1b" not in line


def test_shortening_measures_what_is_drawn(system, tmp_path):
    # Two wide characters fit where many narrow ones do; both ends are kept.
    system(make_font(tmp_path / "wide.ttf", "北"))
    short = Font(10).shortened("北" * 90, 60)
    assert short.count("北") == 5 and short[0] == short[-1] == "北"
    system()
    assert Font(10).shortened("北" * 90, 60).count("北") < 5  # "Bei", each

"""The text of a CSV file and its cells, as spreadsheets of any country save them."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.files import printable, read_bytes

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
MAX_BYTES = 64 << 20  # half a million rows
_SAVE = "save it as UTF-8 (a spreadsheet calls it CSV UTF-8)"
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ZIP = b"PK\x03\x04"  # xlsx and ods files are archives
_HEADER = 1 << 20  # characters in which the header ends
# A first line by which spreadsheets tell each other the delimiter, split or not.
_SEP = ("sep=", *(f"sep={delimiter}" for delimiter in DELIMITERS))


class Table(NamedTuple):
    """The cells of a CSV file, without the space around them.

    Attributes:
      header: the cells of the first row.
      rows: of each other row the number of its (last) line, from 1, and the cells.
      delimiter: what stands between cells, a key of `DELIMITERS`.
    """

    header: list[str]
    rows: list[tuple[int, list[str]]]
    delimiter: str


def read_table(file: Path, fits: Callable[[list[str]], bool]) -> Table:
    """Reads a CSV file in UTF-8, or UTF-16 with its mark, without its empty rows.

    Args:
      file: to read.
      fits: whether a header is right. The delimiter is the first of `DELIMITERS` that
        makes it so; if none does, the one that gives the most columns.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: naming the file and the line, if it is not text, too large, in another
        encoding, or has wrong quotes.
    """
    text = _text(file)
    headers = {each: _header(text[:_HEADER], each) for each in DELIMITERS}
    most = max(headers, key=lambda each: len(headers[each]))
    delimiter = next((each for each in headers if fits(headers[each])), most)
    try:
        rows = [*_rows(text, delimiter)]
    except csv.Error as error:
        reason, last = error.args
        raise ValueError(
            f"{file}, line {last}: {reason}; check the quotes up to there"
        ) from error
    return Table(rows[0][1] if rows else [], rows[1:], delimiter)


def _header(text: str, delimiter: str) -> list[str]:
    try:
        return next(_rows(text, delimiter), (0, []))[1]
    except csv.Error:  # with this delimiter
        return []


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty; a csv.Error has the line as its second argument."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        skipinitialspace=True,
        strict=True,
    )
    while True:
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise csv.Error(error, reader.line_num) from error
        announced = reader.line_num == 1 and delimiter.join(cells).lower() in _SEP
        if any(cells) and not announced:
            yield reader.line_num, cells


def _text(file: Path) -> str:
    data = read_bytes(file, MAX_BYTES)
    if data.startswith(_ZIP):
        raise ValueError(f"{file} is not text, but a spreadsheet's own file; {_SAVE}")
    if data.startswith(_UTF32):
        raise ValueError(f"{file} is UTF-32; {_SAVE}")
    encoding = "utf-16" if data.startswith(_UTF16) else "utf-8-sig"
    wrong = data.find(b"\0") if encoding != "utf-16" else -1
    if wrong < 0:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            wrong = error.start
        else:
            if "\0" not in text:
                return text
            line = text.count("\n", 0, text.index("\0")) + 1
            raise ValueError(f"{file}, line {line} holds a NUL; {_SAVE}")
    if encoding == "utf-16":
        line = data[:wrong].decode(encoding, "ignore").count("\n") + 1
        raise ValueError(f"{file}, line {line} is damaged UTF-16 text; {_SAVE}")
    line = data.count(b"\n", 0, wrong) + 1
    raise ValueError(
        f"{file}, line {line}: the byte {data[wrong]:#04x} is not UTF-8 text"
        f"{_guess(data, wrong)}; {_SAVE}"
    )


def _guess(data: bytes, wrong: int) -> str:
    """How the cell of byte `wrong` reads in the encoding of older spreadsheets."""
    before = re.split(rb'[,;\t\r\n"]', data[max(wrong - 30, 0) : wrong])[-1]
    after = re.split(rb'[,;\t\r\n"]', data[wrong : wrong + 30])[0]
    # Five bytes have no character there, and a NUL or such is none in any text.
    cell = (before + after).decode("cp1252", "replace").replace("\ufffd", "\0")
    if not cell.isprintable():
        return ""
    return f" (in Windows-1252 or Latin-1 it would read {printable(cell)!r})"

"""`nearest.csv`: the ranked lists of all queries, under the main protocols."""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.evaluation.embed import Embedded, main_embedding
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.results import query_and_galleries, spreadsheet_cell
from mbnet_jax.files import encodable, read_bytes
from mbnet_jax.refusals import shown
from mbnet_jax.report.cases import groups_of, main_protocol
from mbnet_jax.report.lists import nearest_images

NEAREST_FILE = "nearest.csv"
HEAD = ("protocol", "query", "rank", "file", "person", "similarity", "match")
_MAX_BYTES = 1 << 30
_REMEDY = "evaluate the run again"


class Listed(NamedTuple):
    """An image of a ranked list, as the file has it."""

    file: str
    person: str
    similarity: float
    match: bool


def folder_of_images(embedded: Mapping[str, Embedded]) -> dict[str, str]:
    """The entry of `metrics.json` that says where the images were; {} if unknown."""
    root = next(iter(embedded.values())).split.root
    return {} if root is None else {"images": encodable(str(root.absolute()))}


def nearest_csv(
    protocols: Sequence[Protocol], embedded: Mapping[str, Embedded], seed: int
) -> str:
    """Returns the text: one line per query and image of its list, nearest first.

    The lists are by the whole network's embedding, before re-ranking, under the main
    protocol of each group; of several draws, of the first. Files and persons are as in
    `queries.csv`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for protocol in map(main_protocol, groups_of(protocols)):
        query, (gallery, *_) = query_and_galleries(embedded, protocol, seed)
        name = main_embedding(query.embeddings)
        lists = nearest_images(query, gallery, name, protocol.rule)
        files = [spreadsheet_cell(file, "./") for file in gallery.split.names]
        for row, nearest in enumerate(lists):
            file = spreadsheet_cell(query.split.names[row], "./")
            for rank, near in enumerate(nearest, 1):
                person = gallery.split.shown(near.index).person
                writer.writerow(
                    (
                        *(protocol.name, file, rank, files[near.index]),
                        spreadsheet_cell(person, "'"),
                        *(f"{near.similarity:.4f}", int(near.correct)),
                    )
                )
    return encodable(text.getvalue())


def read_nearest(
    path: Path, protocol: str, queries: Collection[str]
) -> dict[str, list[Listed]]:
    """Reads the lists of some queries under a protocol: query -> its list.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: naming the file and the line that does not fit.
    """
    text = read_bytes(path, _MAX_BYTES).decode("utf-8", "replace")
    rows = csv.reader(io.StringIO(text, newline=""))
    if tuple(next(rows, ())) != HEAD:
        raise ValueError(f"{path}, line 1, must be {','.join(HEAD)}; {_REMEDY}")
    lists: dict[str, list[Listed]] = {}
    for row in rows:
        try:
            name, query, rank, file, person, similarity, match = row
            if name != protocol or query not in queries:
                continue
            found = lists.setdefault(query, [])
            found.append(Listed(file, person, float(similarity), match == "1"))
            if int(rank) != len(found):
                raise ValueError
        except ValueError:
            raise ValueError(
                f"{path}, line {rows.line_num}, is not of a ranked list: {shown(row)}; "
                f"{_REMEDY}"
            ) from None
    return lists

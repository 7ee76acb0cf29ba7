"""The part file of a run: what was done before a kill, and nothing of another run."""

import json
from pathlib import Path

import pytest

from bots.partfile import PartFile
from core.errors import InputError

RUN = {"persona": "mira", "seed": 1}


def broken_off(out: Path, rows: int = 2) -> Path:
    """A run that was killed after so many replies."""
    part = PartFile(str(out), RUN)
    part.open(resume=False)
    for number in range(1, rows + 1):
        part.add((number, 1), {"id": number})
    part.close()
    return Path(f"{out}.part")


def test_what_was_added_is_there_after_a_kill(tmp_path: Path):
    """And a line that was torn by it counts for nothing: the next one begins where the last whole one ended."""
    file = broken_off(tmp_path / "out")
    with file.open("a") as end:
        end.write('{"line": 3, "k": 1, "id"')

    part = PartFile(str(tmp_path / "out"), RUN)
    part.open(resume=True)
    part.add((3, 1), {"id": 3})
    part.close()

    assert {(1, 1): {"id": 1}, (2, 1): {"id": 2}, (3, 1): {"id": 3}} == part.done
    assert [None, 1, 2, 3] == [json.loads(line).get("id") for line in file.read_text().splitlines()]


def test_the_output_is_in_order_and_the_part_goes(tmp_path: Path):
    """However the replies came."""
    out = tmp_path / "out"
    part = PartFile(str(out), RUN)
    part.open(resume=False)
    for key in ((2, 1), (1, 2), (1, 1)):
        part.add(key, {"id": key[0], "text": str(key[1])})

    assert 3 == part.finish([(1, 1), (1, 2), (2, 1)])
    part.close()

    assert [(1, "1"), (1, "2"), (2, "1")] == [tuple(json.loads(line).values()) for line in out.read_text().splitlines()]
    assert ["out"] == [file.name for file in tmp_path.iterdir()]


def test_the_part_stays_while_something_is_missing(tmp_path: Path):
    """The output has what there is; the rest can still be asked for."""
    part = PartFile(str(tmp_path / "out"), RUN)
    part.open(resume=False)
    part.add((1, 1), {"id": 1})

    assert 1 == part.finish([(1, 1), (2, 1)])
    part.close()

    assert ["out", "out.part"] == sorted(file.name for file in tmp_path.iterdir())


def test_a_part_without_a_reply_is_not_kept(tmp_path: Path):
    """A run that failed before its first reply can be begun anew at once."""
    broken_off(tmp_path / "out", rows=0)

    assert [] == list(tmp_path.iterdir())


def test_a_part_that_is_there_is_not_written_over(tmp_path: Path):
    """Hours of work may be in it."""
    file = broken_off(tmp_path / "out")
    before = file.read_bytes()

    with pytest.raises(InputError, match="a run was broken off") as refused:
        PartFile(str(tmp_path / "out"), RUN).open(resume=False)

    assert ("--resume" in refused.value.hint, before) == (True, file.read_bytes())


@pytest.mark.parametrize("found", ['{"persona": "orrin"}\n', "my diary", "\udcff\udcfe"])
def test_a_file_of_something_else_is_left_alone(found: str, tmp_path: Path):
    """Another run's part, or no part at all: nothing in it is changed."""
    file = tmp_path / "out.part"
    file.write_bytes(found.encode("utf-8", "surrogateescape"))
    part = PartFile(str(tmp_path / "out"), RUN)

    with pytest.raises(InputError, match="is of another run"):
        part.open(resume=True)
    part.close()

    assert found.encode("utf-8", "surrogateescape") == file.read_bytes()


def test_a_run_killed_in_its_first_line_is_gone_on_with(tmp_path: Path):
    """A torn header is ours."""
    (tmp_path / "out.part").write_text('{"persona": "mi')
    part = PartFile(str(tmp_path / "out"), RUN)

    part.open(resume=True)
    part.add((1, 1), {"id": 1})
    part.close()

    assert json.dumps(RUN) == (tmp_path / "out.part").read_text().splitlines()[0]


def test_standard_output_has_no_part(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]):
    """All is held back, and written in order at the end."""
    part = PartFile("-", RUN)
    part.open(resume=True)
    part.add((2, 1), {"id": "ü"})
    part.add((1, 1), {"id": "b"})

    part.finish([(1, 1), (2, 1)])
    part.close()

    assert '{"id": "b"}\n{"id": "ü"}\n'.encode() == capsysbinary.readouterr().out

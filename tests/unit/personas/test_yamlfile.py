"""YAML from people: what is taken, what is refused, and the lines that are named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personas.sampling import Sampling
from personas.yamlfile import BYTES, DEPTH, Fault, YamlError, check, field, read


def refusal(text: str | bytes, tmp_path: Path) -> YamlError:
    """What reading these contents of `card.yaml` raises."""
    file = tmp_path / "card.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(YamlError) as caught:
        read(file)
    return caught.value


def reads_or_refuses(source: Path | str) -> bool:
    """Whether this is read as a mapping, or refused with a line; any other exception is let through."""
    try:
        return isinstance(read(source).data, dict)
    except YamlError as error:
        return error.line >= 1


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1, 2\n", 3, "which begins in line 2"),
        ('a: 1\nb: "x\nc: 2\nd: 3\n', 2, "the quote that opens here is not closed"),
        ('a: 1\nb: "x\nc: 2\nd: "y"\ne: 3\n', 2, "ends in line 4, and more follows: is a quote not closed?"),
        ('a: "x\n y"\nb: 1\n  c: 2\n', 4, "not YAML: mapping values are not allowed"),
        ("a: 1\nb:\n\tc: 2\n", 3, "not YAML"),
        ("a: 1\nb: &x 2\nc: *x\n", 2, "anchors"),
        ("a: 1\nb: *x\n", 2, "anchors"),
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 5, "given twice; first in line 3"),
        ("\n- a\n- b\n", 2, "key: value"),
        ("just words\n", 1, "key: value"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "tag"),
        ("a: 1\nb: !thing 2\n", 2, "tag !thing"),
        ("a: !!binary aGk=\n", 1, "tag !!binary"),
        ("a: 1\nb: !!int x\n", 2, "not a number"),
        (f"a: 1\nb: {'9' * 5000}\n", 2, "not a number"),
        ("a: 1\n? [b, c]\n: 2\n", 2, "key must be"),
        ("a: 1\nb: \x07\n", 2, "character"),
        ('a: 1\nb: "\\0"\n', 2, "NUL"),
        (b"a: 1\nb: x\0y\n", 2, "NUL"),
        (b"a: 1\nb: \xff\n", 2, "UTF-8"),
        ("a: " + "[" * (DEPTH + 1) + "]" * (DEPTH + 1), 1, "nested deeper"),
        ("a: " + "x" * BYTES, 1, "larger than 256 kB; most of that is a, which has 256 kB"),
        ("a: 1\nb:\n" + "- x\n" * BYTES + "c: 1\n", 2, "larger than 256 kB; most of that is b, which has 1,024 kB"),
        ("x" * BYTES * 2, 1, "larger than 256 kB"),
    ],
)
def test_what_is_refused_is_refused_with_its_line(text: str | bytes, line: int, words: str, tmp_path: Path) -> None:
    """Nothing harmful or ambiguous gets in, and the person is told where it stands."""
    error = refusal(text, tmp_path)

    assert ("card.yaml", line) == (error.file, error.line)
    assert words in error.message


def test_of_a_file_without_end_only_a_beginning_is_looked_at(tmp_path: Path) -> None:
    """Nobody waits for gigabytes to learn which part is too large."""
    with (file := tmp_path / "card.yaml").open("wb") as opened:
        opened.write(b"a: 1\nb: x")
        opened.truncate(1 << 30)

    with pytest.raises(YamlError) as caught:
        read(file)

    assert "card.yaml:2: is larger than 256 kB; most of that is b, which has 4,095 kB or more" == str(caught.value)


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    """The classic billion laughs stops at its first anchor."""
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdef", "bcdefg", strict=True))

    with pytest.raises(YamlError, match="text:1: anchors"):
        read(bomb)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """A missing file and a folder are refusals, not tracebacks."""
    with pytest.raises(YamlError, match=r"gone\.yaml:1: cannot be read: No such file"):
        read(tmp_path / "gone.yaml")
    with pytest.raises(YamlError, match="cannot be read"):
        read(tmp_path)


def test_plain_words_stay_what_they_look_like() -> None:
    """Times, dates, `no` and the Norwegian language are text; numbers, true, false and null are not."""
    text = "a: 22:00\nb: no\nc: 2024-01-01\nd: on\ne: 1e-3\nf: -.5\ng: true\nh: ~\ni:\nj: 007\nk: 1_000\nl: 0x10\n"

    expected = {"a": "22:00", "b": "no", "c": "2024-01-01", "d": "on", "e": 0.001, "f": -0.5, "g": True}
    expected |= {"h": None, "i": None, "j": 7, "k": "1_000", "l": "0x10"}
    assert expected == read(text).data


def test_numeric_keys_are_text() -> None:
    """A channel's id may be a key without quotes."""
    assert read("channels:\n  901: a quiet room\n").data == {"channels": {"901": "a quiet room"}}


def test_an_empty_file_is_an_empty_mapping() -> None:
    """A file of comments only says nothing, and that is allowed."""
    assert read("# later\n").data == {}


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    file = tmp_path / "card.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")

    assert read(file).data == {"a": 1}


def test_every_part_has_its_line() -> None:
    """Keys and list items know their line; what is not there has the line of the nearest part above it."""
    document = read("a: 1\nb:\n  c: [x,\n    y]\n  d:\n  - e: 1\n  - e: 2\n    f: 3\n")

    assert document.line(("a",)) == 1
    assert document.line(("b", "c", 0)) == 3
    assert document.line(("b", "c", 1)) == 4
    assert document.line(("b", "d", 1, "f")) == 8
    assert document.line(("b", "d", 1, "missing")) == 7
    assert document.line(("nowhere",)) == 1


def test_a_field_is_named_as_people_would() -> None:
    """Paths read like code, and odd keys are quoted and cut short."""
    assert field(("rules", 2, "when", "say")) == "rules[2].when.say"
    assert field(("channels", "a b")) == "channels.'a b'"
    assert len(field(("x" * 9999,))) < 80


def test_check_lists_every_fault_by_line() -> None:
    """One look shows all that is wrong: range, type, spelling."""
    document = read("top_p: 0\nseed: x\ntemperatur: 1\nmax_tokens: 1.5\n", "s.yaml")

    assert [
        Fault("s.yaml", 1, "top_p", "0 is not allowed; expected a number above 0 to 1"),
        Fault("s.yaml", 2, "seed", "'x' is not allowed; expected a whole number from 0 to 9,223,372,036,854,775,807"),
        Fault("s.yaml", 3, "temperatur", "is not a field here (did you mean temperature?)"),
        Fault("s.yaml", 4, "max_tokens", "1.5 is not allowed; expected a whole number from 1 to 4,096"),
    ] == check(document, Sampling)


def test_check_gives_the_value_of_a_sound_document() -> None:
    """Whole numbers are good where numbers are wanted."""
    assert Sampling(temperature=1.0, stop=("a",)) == check(read("temperature: 1\nstop: [a]\n"), Sampling)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever comes, it is a Document or a YamlError."""
    assert reads_or_refuses(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    """A file of noise is a refusal, never a crash."""
    file = tmp_path_factory.getbasetemp() / "noise.yaml"
    file.write_bytes(raw)
    assert reads_or_refuses(file)

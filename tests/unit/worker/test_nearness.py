"""worker/nearness.py: one scale for every embedder, and what is remembered."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from worker.embed import HashEmbedder, Vectors
from worker.nearness import Nearness


class Counting(HashEmbedder):
    """Counts what it is asked for, and gives everything something in common, if `close`."""

    def __init__(self, close: bool = False) -> None:
        super().__init__()
        self.asked, self.close = 0, close

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += len(texts)
        rows = super().embed(texts)
        if self.close:
            rows[:, 0] += 3.0
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


@pytest.mark.parametrize("close", [False, True])
def test_the_scale_is_the_same_for_every_embedder(close: bool):
    """What has nothing in common is near 0 even where its cosine is 0.9; the same is 1."""
    nearness = Nearness(Counting(close))

    near = nearness.near(nearness.heard("good night to you"), ["good night to you", "purple elephants juggle"])

    assert 1.0 == pytest.approx(near["good night to you"], abs=1e-5)
    assert near["purple elephants juggle"] < 0.25


def test_the_nearest_sentence_counts():
    """A farewell at the end of a long message is one all the same."""
    nearness = Nearness(HashEmbedder())
    heard = nearness.heard("The ship came in at nine and we unloaded barrels. I have to go.")

    assert nearness.near(heard, ["I have to go."])["I have to go."] > 0.99


def test_a_card_s_phrases_are_embedded_once_and_people_s_words_are_not_kept():
    """Phrases come with every message; messages are nobody's business afterwards."""
    embedder = Counting()
    nearness = Nearness(embedder)
    nearness.near(nearness.heard("hello"), ["bye"])
    before = embedder.asked

    nearness.near(nearness.heard("hello"), ["bye"])

    assert before + 1 == embedder.asked


def test_our_own_questions_are_made_once_for_all_workers(tmp_path: Path):
    """They lie in the cache; a broken file is made anew, and one that cannot be written is done without."""
    first, second, third, fourth = (Counting() for _ in range(4))
    Nearness(first, tmp_path).warm()
    Nearness(second, tmp_path).warm()
    for file in tmp_path.glob("*.npy"):
        file.write_bytes(b"nonsense")
    Nearness(third, tmp_path).warm()
    (tmp_path / "file").touch()
    Nearness(fourth, tmp_path / "file").warm()

    assert [True, True] == [second.asked == 1, first.asked == third.asked == fourth.asked > 200]

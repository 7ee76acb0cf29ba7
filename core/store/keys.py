"""Every Redis key, on one page: what it holds, how long it lives, who writes, who reads, and whose data it is.

`forget` and `export` must reach every key that holds somebody's data; `tests/unit/core/test_keys.py` checks that
none is missing. Ids inside keys are quoted by `core.events.quote`, so that no name can forge another key.
"""

from typing import NamedTuple

DAY = 86_400


class Key(NamedTuple):
    """A family of keys. Call it with the ids its pattern names to get one key."""

    pattern: str
    type: str
    lifetime: str
    written_by: str
    read_by: str
    data_of: str  # "person": theirs alone · "conversation": theirs among others' · "nobody": bookkeeping

    def __call__(self, *ids: str) -> str:
        return self.pattern.format(*ids)


# fmt: off
# The queue (core/store/queue.lua is the only writer). Jobs hold references, never what was said.
QUEUE      = Key("limen:q:",                    "prefix", "-",                        "queue.lua", "queue.lua",       "nobody")
JOB        = Key("limen:q:job:{}",              "hash",   "until done or forgotten",  "queue.lua", "queue, status",   "person")
LINE       = Key("limen:q:line:{}",             "list",   "while jobs wait",          "queue.lua", "queue.lua",       "nobody")
BUSY       = Key("limen:q:busy",                "hash",   "while a job runs",         "queue.lua", "queue, status",   "nobody")
READY      = Key("limen:q:ready:{}",            "zset",   "while conversations wait", "queue.lua", "queue, status",   "nobody")
CLOCK      = Key("limen:q:clock:{}",            "string", "for ever",                 "queue.lua", "queue.lua",       "nobody")
SPENT      = Key("limen:q:spent:{}",            "zset",   "until the clock passes",   "queue.lua", "queue.lua",       "nobody")
DELAYED    = Key("limen:q:delayed",             "zset",   "until due",                "queue.lua", "queue, status",   "nobody")
LEASES     = Key("limen:q:leases",              "zset",   "while a job runs",         "queue.lua", "queue, status",   "nobody")
DEAD       = Key("limen:q:dead",                "zset",   "until requeued, forgotten","queue.lua", "deadletters",     "nobody")
DEPTH      = Key("limen:q:depth",               "hash",   "for ever",                 "queue.lua", "queue, status",   "nobody")
FENCE      = Key("limen:q:fence",               "string", "for ever",                 "queue.lua", "queue.lua",       "nobody")
TICK       = Key("limen:q:tick",                "string", "for ever",                 "queue.lua", "queue.lua",       "nobody")
TURN       = Key("limen:q:turn",                "string", "for ever",                 "queue.lua", "queue.lua",       "nobody")
BELL       = Key("limen:q:bell",                "list",   "until heard",              "queue.lua", "worker",          "nobody")
CANCELS    = Key("limen:q:cancels",             "pubsub", "-",                        "queue.lua", "worker",          "nobody")

# Replies on their way out.
REPLIES    = Key("limen:replies:{}",            "stream", "until delivered, or a day","queue.lua, nights", "delivery",        "conversation")
CARRIER    = Key("limen:carrier:{}",            "string", "10 s lease",               "delivery",  "delivery, queue.lua", "nobody")
SENT       = Key("limen:sent:{}",               "hash",   "as its reply",             "delivery",  "delivery",        "nobody")

# What was heard: deduplication and conversations.
SEEN       = Key("limen:seen:{}",               "string", "one day",                  "engine",    "engine",          "nobody")
ORDER      = Key("limen:talk:{}:order",         "zset",   "until capped or forgotten","engine, worker", "worker, history", "conversation")
LINES      = Key("limen:talk:{}:lines",         "hash",   "as its order",             "engine, worker", "worker, history", "conversation")
SEQUENCE   = Key("limen:talk:{}:seq",           "string", "as its order",             "engine",    "engine",          "nobody")
TALK       = Key("limen:talk:{}:about",         "hash",   "as its order",             "worker",    "worker",          "conversation")
TALKS      = Key("limen:talks:{}",              "set",    "as its persona",           "engine",    "forget, export",  "nobody")
SPOKE_IN   = Key("limen:person:{}:talks",       "set",    "until forgotten",          "engine",    "forget, export",  "person")

# Being in a group: how often we have spoken, so that it is not too often. (queue.lua counts; ids of jobs are members.)
ASKED      = Key("limen:person:{}:asked",       "zset",   "the quota's window",       "queue.lua", "queue, export, status", "person")
ASKED_TOLD = Key("limen:person:{}:told",        "string", "the quota's window",       "queue.lua", "queue.lua, export", "person")
SPOKEN     = Key("limen:spoken:{}",             "zset",   "the quota's window",       "queue.lua", "queue, status",   "nobody")
SPOKEN_TOLD= Key("limen:spoken-told:{}",        "string", "the quota's window",       "queue.lua", "queue.lua",       "nobody")
OVERHEARD  = Key("limen:overheard:{}",          "zset",   "an hour",                  "queue.lua", "queue.lua",       "nobody")
BOT_TURNS  = Key("limen:bot-turns:{}",          "string", "until a person speaks, or a day of silence", "queue.lua", "queue.lua", "nobody")

# Personas.
CAST       = Key("limen:cast:{}",               "hash",   "for ever",                 "commands",  "engine",          "nobody")
PLAYED     = Key("limen:played:{}",            "set",    "for ever",                 "commands",  "engine",          "nobody")
PERSONAS   = Key("limen:personas",              "set",    "for ever",                 "worker",    "status, nights",  "nobody")
CARD       = Key("limen:card:{}",               "string", "for ever (immutable)",     "engine",    "worker",          "nobody")
KNOWLEDGE  = Key("limen:knowledge:{}",          "hash",   "until removed",            "commands",  "worker, commands","nobody")
PASSAGES   = Key("limen:knowledge:{}:{}",       "hash",   "until removed, or 30 days unread", "worker", "worker",      "nobody")
LORA       = Key("limen:lora:{}",               "string", "for ever",                 "loras.lua", "worker, commands","nobody")
LORAS      = Key("limen:loras",                 "set",    "for ever",                 "loras.lua", "status, commands","nobody")
LORAS_MADE = Key("limen:loras-made",            "hash",   "as its LoRA",              "nights, commands", "forget, nights", "nobody")
LORAS_OF   = Key("limen:person:{}:loras",       "set",    "until forgotten",          "nights, commands", "forget, export", "person")
TAINTED    = Key("limen:loras-tainted",         "zset",   "until rebuilt",            "forget",    "loras.lua, worker, nights", "nobody")
LORAS_GONE = Key("limen:loras-gone",            "zset",   "3 days",                   "loras.lua, nights", "loras.lua, nights", "nobody")
LORA_FAULT = Key("limen:lora-fault:{}",         "string", "a day",                    "worker",    "status, doctor",  "nobody")
LORA_FAULTS= Key("limen:lora-faults",           "zset",   "a day",                    "worker",    "status, doctor",  "nobody")
LORA_FAULTY= Key("limen:lora-faulty",           "zset",   "as lora-faults",           "worker",    "trials",          "nobody")

# Personalities: what each persona has become, as a history of changes (`core/growth/changes.py`). The stream holds the latest
# 20,000; older ones live on in the snapshot. Each day that is over is kept as it ended, for 400 days.
SELF       = Key("limen:self:{}",               "stream", "20,000 changes",           "worker, commands", "personalities", "conversation")
SELF_AT    = Key("limen:self:{}:at",            "hash",   "as its persona",           "worker, commands", "personalities", "conversation")
SELF_DAYS  = Key("limen:self:{}:days",          "hash",   "400 days",                 "personalities.lua", "personalities", "conversation")
FELT       = Key("limen:self:{}:felt",          "set",    "until weighed",            "ledger.lua","worker, commands","nobody")
SELVES     = Key("limen:person:{}:personalities","set",   "until forgotten",          "worker, commands", "forget, export", "person")
WEIGHED    = Key("limen:reply:{}:weighed",      "hash",   "as its reply",             "worker, commands", "worker, commands", "person")

# The ledger: replies and what people felt about them.
REPLY      = Key("limen:reply:{}",              "string", "30 days; 70 once rated",   "worker",    "ledger, nights",  "conversation")
SECTION    = Key("limen:section:{}",            "string", "as the longest reply",     "worker",    "ledger, nights",  "conversation")
REACTIONS  = Key("limen:reply:{}:reactions",    "list",   "as its reply",             "engine",    "ledger, nights",  "conversation")
FRESH      = Key("limen:fresh",                 "hash",   "until learned from",       "ledger.lua","nights",          "nobody")
REPLIES_OF = Key("limen:replies-of:{}",         "zset",   "as long as rated replies", "worker, ledger.lua", "ledger, nights", "nobody")
RATED_OF   = Key("limen:rated-of:{}",           "zset",   "capped by its replies",    "ledger.lua","worker",          "nobody")
REPLIED_TO = Key("limen:person:{}:replies",     "zset",   "until forgotten",          "worker",    "forget, export",  "person")
RATED_BY   = Key("limen:person:{}:rated",       "zset",   "until forgotten",          "engine",    "forget, export",  "person")
MESSAGE    = Key("limen:message:{}",            "string", "as its reply",             "delivery",  "engine",          "nobody")
PARKED     = Key("limen:parked:{}",             "list",   "7 days",                   "engine",    "delivery",        "conversation")
PARKED_BY  = Key("limen:person:{}:parked",      "set",    "7 days",                   "engine",    "forget, export",  "person")

# Memory: what was said, and what was made of it. (Turns lie as the lines they were; references wait to be taken in.)
MEMORIES   = Key("limen:memories:{}",           "hash",   "until capped or forgotten","memories.lua, worker", "worker, memory", "conversation")
MEMORY_ORDER = Key("limen:memories:{}:order",   "zset",   "as its memories",          "memories.lua, worker", "worker, memory", "conversation")
MEMORY_VECTORS = Key("limen:memories:{}:vectors", "hash", "as its memories",          "memories.lua, worker", "worker, memory", "conversation")
MEMORY_SLOTS = Key("limen:memories:{}:slots",   "hash",   "as its memories",          "memories.lua",         "memories.lua",   "conversation")
MEMORY_OVER = Key("limen:memories:{}:over",     "hash",   "as its memories",          "memories.lua",         "worker, memory", "conversation")
MEMORY_STATE = Key("limen:memories:{}:state",   "hash",   "for ever; two numbers",    "memories.lua, worker", "worker, memory", "nobody")
MEMORY_FRESH = Key("limen:memories:{}:fresh",   "set",    "until taken in",           "engine, worker",       "memories.lua",   "conversation")
MEMORY_WAITS = Key("limen:memories-waiting",    "set",    "until taken in",           "engine, worker",       "worker",         "nobody")
MEMORY_BIN = Key("limen:memories:{}:bin",       "string", "a day",                    "commands",             "commands",       "conversation")
REMEMBERED = Key("limen:person:{}:remembered",  "set",    "until forgotten",          "memories.lua",         "forget, export", "person")

# Reflection: how far it has come with a persona, and what it kept and dropped. (Reasons and ids of lines, no text.)
REFLECT_DUE= Key("limen:reflect-due",           "zset",   "until reflected on",       "worker",    "worker",          "nobody")
REFLECTED  = Key("limen:reflected:{}",          "hash",   "for ever; few numbers",    "worker",    "worker",          "nobody")
REFLECTIONS= Key("limen:reflections:{}",        "list",   "the last 20",              "worker",    "memory",          "conversation")

# Nights: what they found, and who is at one.
NIGHT      = Key("limen:night:{}",              "string", "400 days; 60 of a persona","nights",    "night, report",   "conversation")
NIGHTS_OF  = Key("limen:nights-of:{}",          "zset",   "400 days",                 "nights",    "night, report",   "nobody")
NIGHTS     = Key("limen:nights",                "zset",   "400 days",                 "nights",    "night, status",   "nobody")
COUNTED_IN = Key("limen:person:{}:nights",      "zset",   "400 days, until forgotten","nights",    "forget, export",  "person")
NIGHT_GONE = Key("limen:night-gone",            "zset",   "3 days; only hashes",      "forget",    "nights, worker",  "nobody")
NIGHT_RUN  = Key("limen:night-run",             "hash",   "for ever",                 "nights",    "nights, status",  "nobody")
NIGHTS_LEFT= Key("limen:nights-left",           "list",   "until the next night",     "nights",    "nights, status",  "nobody")
NIGHTS_CUT = Key("limen:nights-cut",            "hash",   "until their night ends",   "nights",    "nights",          "nobody")
NIGHT_LEASE= Key("limen:night-lease:{}",        "string", "60 s lease",               "nights",    "nights, status",  "nobody")

# People and processes.
CONSENT    = Key("limen:person:{}:consent",     "hash",   "until forgotten",          "privacy",   "nights, privacy", "person")
OWN_WORD   = Key("limen:own-word",              "set",    "until they say yes or no; only hashes", "consents", "consents", "nobody")
ERASE_DUE  = Key("limen:erase-due",             "string", "until the file is written anew", "privacy", "worker",         "nobody")
ASKING     = Key("limen:person:{}:asking",      "string", "3 min lease",              "consents",  "consents",        "person")
HINTED     = Key("limen:hinted:{}",             "string", "6 hours",                  "consents",  "consents",        "nobody")
WORKER     = Key("limen:worker:{}",             "hash",   "15 s heartbeat",           "worker",    "status",          "nobody")
WORKERS    = Key("limen:workers",               "zset",   "a day",                    "worker",    "status",          "nobody")
MOVING     = Key("limen:moving:{}",             "hash",   "until it is done",         "moving",    "moving",          "nobody")
SESSIONS   = Key("limen:sessions",              "zset",   "until idle",               "console",   "worker (idle)",   "nobody")
# fmt: on

SEEN_FOR = DAY
PARKED_FOR = 7 * DAY
STREAM_FOR = DAY
GONE_FOR = 3 * DAY
FORGOT_FOR = 3 * DAY
NIGHT_FOR = 400 * DAY
DAYS_KEPT = 400 * DAY
CHANGES_KEPT = 20_000


def every() -> dict[str, Key]:
    """All key families by name."""
    return {name: key for name, key in globals().items() if isinstance(key, Key)}

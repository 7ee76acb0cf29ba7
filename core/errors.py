"""Everything that limen raises on purpose, as one tree. Foreign errors are translated into these at the boundary.

LimenError
├── UserError                 somebody can put it right: the message says what, where and the next step
│   ├── ConfigError           a setting: key, value, allowed range, file and line
│   ├── CardError             a persona card: file, line and field
│   ├── UnknownPersona        no card of that name
│   ├── ModelError            a model reference that cannot be had or loaded
│   ├── MissingExtra          a package of an extra that is not installed
│   ├── InputError            a file or line that a command was given
│   │   └── TooLong           a file longer than is allowed, or than it said
│   └── LoraError             a LoRA that cannot be read, or does not fit
├── StoreError                Redis
│   ├── StoreUnreachable      gone, or not there yet; what was acknowledged is safe
│   ├── StoreFull             Redis is out of memory, or its disk is full
│   └── StoreDamaged          its file on disk cannot be read; says how to move it aside
├── QueueError
│   └── StaleLease            this job was handed on: a late worker may not speak for it
└── Fault                     limen itself is wrong somewhere: one thing could not be done, and the log says where
"""


class LimenError(Exception):
    """Something limen could not do. `str()` of it is meant for people; `hint` is the next step, if there is one."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UserError(LimenError):
    """Wrong input or setup that the reader of the message can put right."""


class ConfigError(UserError):
    """A setting is misspelt, of the wrong type or out of range."""


class CardError(UserError):
    """A persona card is not valid. `str()` names file, line and field of each fault."""


class UnknownPersona(UserError):
    """There is no card of that name."""


class ModelError(UserError):
    """A model reference does not exist, cannot be fetched, or cannot be loaded."""


class MissingExtra(UserError):
    """A package is missing that one of our extras brings."""


class InputError(UserError):
    """A file or line given to a command cannot be used."""


class TooLong(InputError):
    """A file is longer than is allowed, or than it said it was."""


class LoraError(UserError):
    """A LoRA is not there, cannot be read, or does not fit the base model or its slots."""


class StoreError(LimenError):
    """Redis could not do it."""


class StoreUnreachable(StoreError):
    """Redis is gone or not there yet. What it acknowledged is on its disk."""


class StoreFull(StoreError):
    """Redis has no memory or no disk left."""


class StoreDamaged(StoreError):
    """The append-only file of the embedded Redis is damaged in its middle."""


class QueueError(LimenError):
    """A job could not be queued or completed."""


class StaleLease(QueueError):
    """The lease on this job ran out and the job was handed on."""


class Fault(LimenError):
    """Something went wrong in limen itself. Its log says where."""

    def __init__(self) -> None:
        super().__init__("Something went wrong in me. Whoever runs me finds it in my log.")

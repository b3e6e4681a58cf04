"""Errors a user can act on: one line that says what, where, the value, what is allowed and the fix.

GenirError
├── ConfigError    the config file or an override
├── PromptError    a prompt file or a line of it
├── PlanError      the run directory and the frozen plan disagree with what is asked now
├── ShardError     a shard or its files; also a full or read-only disk
├── ImageError     a picture that cannot be read, or is too small
├── TrainSetError  a training set or a row of it
├── StoreError     an object store does not answer; exit code 75, the same command goes on later
├── ModelError     a model, adapter or weight file that cannot be loaded or used
└── ExtraError     an optional package is missing

Anything else that reaches the user is a bug and keeps its traceback.
"""


class GenirError(Exception):
    """Base of all errors whose message is for the user; the command exits with code 2, or 75 for a StoreError."""


class ConfigError(GenirError):
    """The configuration cannot be used."""


class PromptError(GenirError):
    """A prompt file cannot be used."""


class PlanError(GenirError):
    """What is asked now contradicts the frozen plan of the run."""


class ShardError(GenirError):
    """A shard cannot be written or read."""


class ImageError(GenirError):
    """A picture cannot be read, or is too small for what is to be done with it."""


class TrainSetError(GenirError):
    """A training set cannot be used."""


class StoreError(GenirError):
    """An object store does not answer; the same command goes on later (exit code 75, not 2)."""


class ModelError(GenirError):
    """A model or weight file cannot be loaded or used."""


class ExtraError(GenirError):
    """An optional dependency is not installed."""


class Stopped(Exception):
    """The process was asked to stop: give up the batch in flight and leave; not an error."""

"""Everything random is seeded by what is asked for, never by rank, batch, order or time."""

import hashlib


def derive(run_seed: int, key: str, purpose: str) -> int:
    """A seed in 0 .. 2**63 - 1 for one purpose ("noise", "size", ...) of one task.

    SHA-256 of the three values, so that neighbouring keys and seeds share nothing.
    """
    digest = hashlib.sha256(f"genir:{purpose}:{run_seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def choice(run_seed: int, key: str, purpose: str, count: int) -> int:
    """Which of `count` things one task has."""
    return derive(run_seed, key, purpose) % count

"""What two prompts are compared by."""

import re

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SKELETON = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[,.;:!?()]")
_function_words = """
    a about above across after against along amid among an and are around as at be before behind below beneath
    beside between beyond but by down for from has have in inside into is it its near nor not of off on onto or
    out outside over past so than that the their them then there these they this those through to toward towards
    under until up upon was were when where which while with within without
"""
_FUNCTION_WORDS = frozenset(_function_words.split())


def words_of(text: str) -> list[str]:
    """The words in small letters, in order."""
    return _WORD.findall(text.lower())


def skeleton(text: str) -> str:
    """The prompt with every content word as `_`: function words, punctuation and lengths remain.

    It needs no grammar, so that banks from anywhere are measured alike.
    """
    pieces = _SKELETON.findall(text.lower())
    return " ".join(piece if piece in _FUNCTION_WORDS or not piece[0].isalnum() else "_" for piece in pieces)

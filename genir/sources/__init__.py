"""Where HQ pictures come from: a genir run, a folder of photographs, WebDataset tars, or several of them."""

from genir.sources.open import Joined, Source, open_source, taken
from genir.sources.original import Original

__all__ = ["Joined", "Original", "Source", "open_source", "taken"]

"""Documents that are made from the code; tests say that they are up to date.

python -m tools.docs      # writes docs/help.md, docs/configuration.md and configs/schema/*.json
"""

from pathlib import Path

from tools.docs import help_pages, keys, schemas

ROOT = Path(__file__).parents[2]


def documents() -> dict[Path, str]:
    """File -> what it should hold."""
    kinds = schemas.kinds()
    return {
        ROOT / "docs/help.md": help_pages.document(),
        ROOT / "docs/configuration.md": keys.document(kinds),
        **{ROOT / f"configs/schema/{name}.json": schemas.document(kind) for name, kind in kinds.items()},
    }

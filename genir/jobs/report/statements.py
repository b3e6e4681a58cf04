"""The sections of words: what was looked for, what an audit found, whose terms hold."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from genir.exporters.card import licence_in_words
from genir.jobs.report.page import Page, definitions, plain
from genir.runs.card import looked_for

if TYPE_CHECKING:
    from pathlib import Path


def add(page: Page, root: Path, plan: dict[str, Any]) -> None:
    """Privacy, with every finished audit of the run; licences."""
    audits = [_audit(path) for path in sorted(root.glob("audits/*/result.json"))]
    none = "<p>No audit of this run is finished; <code>genir verify RUN --privacy</code> makes one.</p>"
    page.section("Privacy", f"<p>{escape(looked_for(plan))}</p>", *(audits or [none]))
    env = json.loads((root / "env.json").read_bytes()) if (root / "env.json").exists() else {}
    facts = {name: plain(value) for name, value in env.items() if "licence" in name}
    weights = plan["meaning"].get("gates", {}).get("weights") or {}
    facts |= {f"weights of {name}": f"SHA-256 {sha[:16]}" for name, sha in weights.items()}
    statement = licence_in_words(env.get("model_licence") or "unknown", env.get("outputs_may_train") or "")
    page.section("Licences", f"<p>{escape(statement)}</p>", definitions(facts) if facts else "")


def _audit(path: Path) -> str:
    """The statement of `genir verify --privacy`, with what it is worth."""
    facts = json.loads(path.read_bytes())
    word = "bound" if "bound_per_million" in facts else "estimate"
    per_million = facts[f"{word}_per_million"]
    recall = (
        f"{facts['controls_found']} of {facts['controls']} pictures with people were found: "
        f"the auditor finds at least {facts['recall_at_least']:.1%}"
        if facts["controls"]
        else "none: what the auditor misses is not measured"
    )
    told = {
        "audited": f"{facts['n']:,} of {facts['kept']:,} kept images, drawn at random (seed {facts['seed']}), "
        f"by {facts['auditor']}",
        "found": f"{facts['found']:,} with a recognisable person",
        "controls": recall,
        word: f"at most {per_million:,.0f} per million kept images, with {facts['confidence']:.0%} confidence"
        + ("" if word == "bound" else "; not a bound: the auditor is the run's own network"),
        "not assessed": "; ".join(facts["not_assessed"]),
    }
    return f"<h3>Audit {escape(path.parent.name)}</h3>{definitions(told)}"

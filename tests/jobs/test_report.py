"""`genir report`: one page that tells the truth about a run, seen in a real browser."""

import html
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile

import chromium
import numpy as np
import pytest
import trainsets
from PIL import Image
from skimage import data

from genir.config.audit import Privacy
from genir.config.base import load
from genir.config.degrade import Degrade
from genir.errors import PlanError
from genir.jobs.degrade import degrade
from genir.jobs.report import gallery, report, tables
from genir.jobs.report import labels as labels_section
from genir.jobs.report.page import Page
from genir.jobs.verify import privacy
from genir.runs.summary import summarise

JOB = {"prompts": 60, "batch": 4, "shard_size": 12, "stats": True}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from processes import Dummy

    dummy = Dummy(tmp_path_factory.mktemp("a run & more"))
    assert dummy.run("run", **JOB)[0] == 0
    return dummy.folder / "run"


def facts_of(page):
    """What the gallery is drawn from."""
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])


def words_of(page):
    text = re.sub(r"<(script|style).*?</\1>", "", page.read_text(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_the_page_counts_what_the_run_counts(run, tmp_path):
    page = report(str(run), str(tmp_path / "page.html"))
    summary = summarise(run)
    text = words_of(page)
    assert f"{summary.kept:,} synthetic images kept of {summary.done:,} generated" in text
    for reason, count in summary.reasons.items():
        assert f"rejected: {reason} {count:,} {100 * count / summary.done:.1f} %" in text
    assert "Looked for, by the gates of this run: nothing." in text
    assert not list(run.glob("report.html")), "it went to the file that was asked for"


def test_the_page_lies_in_the_run_and_needs_nothing_else(run):
    page = report(str(run))
    assert page == run / "report.html"
    text = page.read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)
    assert "http" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)
    page.unlink()


def test_the_gallery_holds_kept_and_rejected_pictures(run, tmp_path):
    facts = facts_of(report(str(run), str(tmp_path / "page.html"), images=20))
    verdicts = [card["verdict"] for card in facts["cards"]]
    assert len(verdicts) == 20
    assert verdicts.count("kept") == 10
    for card in facts["cards"]:
        assert (card["image"] is not None) == (card["verdict"] == "kept"), "rejected pixels are not stored"
        assert card["remark"] == ("" if card["image"] else "pixels not stored")
    assert facts["run"] == f"'{run}'", "the command can be pasted although the name has blanks"


def test_rare_reasons_leave_their_share_to_the_others():
    rows = [{"key": f"{n:09d}", "verdict": "kept", "reason": ""} for n in range(100)]
    rows += [
        {"key": f"{n:09d}", "verdict": "rejected", "reason": "rare" if n == 150 else "often"} for n in range(100, 200)
    ]
    chosen = gallery.choose(rows, 40)
    assert [row["reason"] for row in chosen].count("") == 20
    assert [row["reason"] for row in chosen].count("rare") == 1
    assert [row["reason"] for row in chosen].count("often") == 19
    assert chosen == sorted(chosen, key=lambda row: row["key"])
    assert len(gallery.choose(rows[:100], 40)) == 40, "without rejected ones all are kept ones"
    assert len(gallery.choose(rows[100:], 40)) == 40


def test_limits_are_read_from_the_gates_of_the_plan():
    gates = {
        "score_only": False,
        "face": {"threshold": 0.3, "scales": [1.0], "long_side": None},
        "signal": {"min_std": 4.0, "max_flat": None, "min_laplacian": 1.0, "max_laplacian": 9.0},
        "quality": {"piqe": {"min": None, "max": 50.0}},
        "weights": {"centerface": "986f"},
    }
    found = tables.limits({"meaning": {"gates": gates}})
    assert {column: bounds for column, bounds in found.items() if bounds != (None, None)} == {
        "face_score": (None, 0.3),
        "signal_std": (4.0, None),
        "signal_laplacian": (1.0, 9.0),
        "quality_piqe": (None, 50.0),
    }
    assert tables.limits({"meaning": {}}) == {}


def test_a_histogram_counts_every_score_once():
    values = [*np.linspace(0, 1, 998), 50.0, None]
    rows = [{"x": value, "verdict": "kept" if value and value > 0.5 else "rejected"} for value in values]
    found = tables.score_histogram(rows, "x", (0.25, None))
    assert sum(found.kept) == sum(row["verdict"] == "kept" for row in rows)
    assert sum(found.kept) + sum(found.others) == 999
    assert (found.missing, found.edges[-1] < 2) == (1, True)
    assert tables.score_histogram([{"x": 1.0, "verdict": "kept"}] * 3, "x", (None, None)) is None


def test_of_a_large_run_evenly_spread_shards_are_read(run, monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROWS", 36)
    plan = json.loads((run / "plan.json").read_bytes())
    found = tables.read(run / "image", plan)
    assert found.shards == [0, 1, 3]
    assert found.note == "of 36 tasks, in 3 evenly spread shards of 5"


def test_what_prompts_say_is_text(tmp_path):
    page = Page("<b>run</b>")
    page.lead("<i>lead</i>")
    page.gallery({"prompt": "</script><script>alert(1)</script>"}, "<u>note</u>")
    text = page.html()
    for tag in ("<b>run", "<i>lead", "<u>note", "<script>alert"):
        assert tag not in text


@pytest.mark.skipif(bool(chromium.MISSING), reason=chromium.MISSING)
def test_in_a_browser_filters_dialog_and_theme_work(run, tmp_path):
    page = report(str(run), str(tmp_path / "page.html"))
    reason, count = summarise(run).reasons.most_common(1)[0]
    found, console = chromium.drive(
        page,
        f"""
        const form = document.getElementById("filters"), cards = () => document.querySelectorAll("#cards li").length;
        const before = cards();
        form.elements.verdict.value = {json.dumps(reason)};
        form.dispatchEvent(new Event("input"));
        const filtered = cards();
        document.querySelector("#cards button").click();
        const dialog = document.getElementById("details");
        const opened = dialog.open, first = document.getElementById("details-title").textContent;
        dialog.dispatchEvent(new KeyboardEvent("keydown", {{key: "ArrowRight"}}));
        const second = document.getElementById("details-title").textContent;
        document.getElementById("previous").click();
        const back = document.getElementById("details-title").textContent;
        const command = document.getElementById("details-command").textContent;
        const paper = () => getComputedStyle(document.body).backgroundColor, light = paper();
        document.getElementById("theme").click();
        const table = document.querySelector("table.sortable");
        table.querySelectorAll("thead button")[1].click();
        const made = [...table.tBodies[0].rows].map((row) => Number(row.cells[1].dataset.value));
        return {{before, filtered, opened, first, second, back, command, turned: light !== paper(), made}};
        """,
        tmp_path,
    )
    assert console == []
    assert found["before"] == 60
    assert found["filtered"] == count
    assert found["opened"]
    assert found["first"].endswith(reason)
    assert found["first"] != found["second"]
    assert found["back"] == found["first"]
    assert re.fullmatch(r"genir regenerate '.*/run' --key \d{9}", found["command"])
    assert found["turned"]
    assert found["made"] == sorted(found["made"], reverse=True)


def test_labels_stand_beside_their_images(run, tmp_path):
    root = shutil.copytree(run, tmp_path / "run")
    for tar in sorted((root / "image").glob("*.tar")):
        for domain, mode in (("depth", "I;16"), ("edge", "L")):
            (root / f"annotation_{domain}").mkdir(exist_ok=True)
            with tarfile.open(tar) as images, tarfile.open(root / f"annotation_{domain}" / tar.name, "w") as labels:
                for name in images.getnames():
                    if name.endswith(".png"):
                        label = io.BytesIO()
                        Image.new(mode, (32, 16), 40_000 if domain == "depth" else 90).save(label, "PNG")
                        info = tarfile.TarInfo(name)
                        info.size = label.tell()
                        label.seek(0)
                        labels.addfile(info, label)
    page = report(str(root)).read_text()
    assert page.count('class="sheet"') == labels_section._IMAGES
    assert "Kept images beside their labels: depth, edge." in page
    prompt = re.search(r'alt="depth of: ([^"]+)"', page)[1]
    assert f'alt="image of: {prompt}"' in page


def test_an_audit_is_told_with_what_it_is_worth(run, tmp_path):
    root = shutil.copytree(run, tmp_path / "run")
    assert "No audit of this run is finished" in words_of(report(str(root)))
    audit = privacy.Audit(Privacy(sample=40), root, root / "audits/spring", 400, [None] * 40, [])
    lines = privacy._report(audit, 1, 0, "Ada <Lovelace>")
    text = words_of(report(str(root)))
    bound = next(line for line in lines if line.startswith("bound")).partition("at most ")[2].partition(" (n")[0]
    for told in ("Audit spring", "40 of 400 kept images", "by Ada <Lovelace>", bound, "not measured", "private places"):
        assert told in text


def test_licences_are_told(run, tmp_path):
    root = shutil.copytree(run, tmp_path / "run")
    (root / "env.json").write_text(json.dumps({"model": "m", "model_licence": "openrail++"}))
    assert "Licence of the model that made the pictures: openrail++." in words_of(report(str(root)))


def test_a_learning_run(tmp_path):
    (tmp_path / "learn.json").write_text("{}")
    with pytest.raises(PlanError, match="no step is done yet"):
        report(str(tmp_path))
    rows = [{"step": n, "denoise": 1 / n, "gradient": 0.1, "rate": None if n == 3 else 1e-3} for n in range(1, 700)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "grids").mkdir()
    for step in range(0, 700, 50):
        Image.new("RGB", (32, 16)).save(tmp_path / "grids" / f"{step:06d}.png")
    text = words_of(report(str(tmp_path)))
    assert "after 699 steps" in text
    assert "after 650 steps" in text, "the latest grid is shown"


@pytest.mark.parametrize(
    ("hq", "hq_usm", "told", "pictures"),
    [
        ("true", "false", "right of it HQ.", 2),
        ("false", "true", "right of it the sharpened HQ.", 2),
        ("false", "false", "Not shown: they are stored without their HQ", 0),
    ],
)
def test_pairs_and_their_slider(tmp_path, hq, hq_usm, told, pictures):
    (tmp_path / "photos").mkdir()
    Image.fromarray(data.astronaut()[:128, :96]).save(tmp_path / "photos" / "one.png")
    config = load(
        Degrade,
        "configs/degrade_realesrgan.yaml",
        [
            f"input={tmp_path}/photos",
            f"run={tmp_path}/run",
            "degradation.crop=null",
            "degradation.patch=null",
            f"store.hq={hq}",
            f"store.hq_usm={hq_usm}",
            "device=cpu",
        ],
    )
    assert degrade(config) == 0
    page = report(str(tmp_path / "run"))
    assert "1 HQ-LQ pairs, 0.0 % of them of synthetic images" in words_of(page)
    assert told in words_of(page)
    assert page.read_text().count("data:image/webp") == pictures


def test_a_training_set(tmp_path):
    trainsets.pairs(tmp_path / "set" / "train", 3)
    text = words_of(report(str(tmp_path / "set")))
    assert "positive, photograph 3 50.0 %" in text
    (tmp_path / "set" / "train" / "metadata.jsonl").unlink()
    with pytest.raises(PlanError, match="not whole yet"):
        report(str(tmp_path / "set"))


def test_what_is_no_run_is_said_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "genir", "report", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no run of generate, degrade, prepare or learn there" in done.stderr

"""`genir fetch` against a hub on this machine: the real client of huggingface_hub, in a process of its own."""

import json
import os
import shutil
import subprocess
import sys

import fake_hub
import pytest
from processes import TESTS

sys.path.append(str(TESTS / "backbone"))
import tiny

from genir.config.base import resolve
from genir.config.generate import Generate
from genir.config.prepare import Prepare
from genir.errors import ConfigError
from genir.jobs.fetch import Named, _kind_of, named_in


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A repository as the hub has them: two variants, two formats, pictures, a card."""
    folder = tiny.saved(tiny.sd(), tmp_path_factory.mktemp("hub") / "sd")
    for part in ("unet", "vae", "text_encoder"):
        (own,) = (folder / part).glob("*.safetensors")
        shutil.copy(own, own.with_name(own.name.replace(".safetensors", ".fp16.safetensors")))
        shutil.copy(
            own, own.with_name("pytorch_model.bin" if part == "text_encoder" else "diffusion_pytorch_model.bin")
        )
    (folder / "README.md").write_text("---\nlicense: openrail++\n---\n# a model\n")
    (folder / "sd.ckpt").write_bytes(b"of another program")
    (folder / "picture.png").write_bytes(b"large and of no use")
    return folder


@pytest.fixture
def hub(pipeline):
    with fake_hub.serving(some__model=pipeline, some__vae=pipeline / "vae") as server:
        yield server


@pytest.fixture
def fetch(tmp_path, hub):
    (tmp_path / "generate_mine.yaml").write_text("model: {id: some/model, variant: fp16}\nprompts: empty\n")

    def run(*arguments, command=("fetch", "generate_mine.yaml"), **environment):
        places = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url, "PYTHONPATH": str(TESTS.parent)}
        mine = {**os.environ, **places, "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment}
        if not environment.get("HF_HUB_OFFLINE"):
            mine.pop("HF_HUB_OFFLINE", None)
        done = subprocess.run(
            [sys.executable, "-m", "genir", *command, *arguments],
            env=mine,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=150,
        )
        assert "Traceback" not in done.stderr
        return done

    return run


def test_what_diffusers_would_load_is_fetched_once_and_then_works_offline(fetch, hub, tmp_path):
    asked = fetch("--dry-run")
    assert (asked.returncode, asked.stderr) == (0, "")
    head, *files, total = asked.stdout.splitlines()
    assert head.startswith("model some/model (fp16): to be fetched, 11 files, ")
    assert head.endswith(f"commit {fake_hub.COMMIT}, licence openrail++")
    names = {line.split()[-1] for line in files}
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in names
    assert "README.md" in names
    assert not [name for name in names if name.endswith((".bin", ".ckpt", ".png", "model.safetensors"))]
    assert total.startswith("0 of 1 were there; 1 to be fetched, ")
    assert not list((tmp_path / "home").rglob("*.safetensors"))

    made = fetch("--json", "model.vae=some/vae")
    assert made.returncode == 0, made.stderr
    model, vae = json.loads(made.stdout)
    assert (model["state"], model["commit"], model["licence"]) == ("fetched", fake_hub.COMMIT, "openrail++")
    weights = "unet/diffusion_pytorch_model.fp16.safetensors"
    known = {name: hub_sha(hub, name) for name in (weights, "unet/config.json")}
    assert {name: model["files"][name]["sha256"] for name in known} == known
    assert set(vae["files"]) == {"config.json", "diffusion_pytorch_model.fp16.safetensors"}

    requests = len(hub.requests)
    again = fetch("model.vae=some/vae", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert "model some/model (fp16): there, 10 files" in again.stdout
    assert again.stdout.splitlines()[-1] == "2 of 2 were there"
    assert len(hub.requests) == requests

    ready = fetch(command=("generate", "generate_mine.yaml", "--dry-run"), HF_HUB_OFFLINE="1")
    assert ready.returncode == 0, ready.stderr


def hub_sha(hub, name):
    import hashlib

    return hashlib.sha256((hub.repositories["some/model"] / name).read_bytes()).hexdigest()


def test_each_refusal_is_one_line_and_the_others_go_on(fetch, hub):
    hub.gated["some/vae"] = 403
    done = fetch("--dry-run", "model.vae=some/vae", "model.loras=[other/lora]")
    assert done.returncode == 2
    assert "model some/model (fp16): to be fetched" in done.stdout
    assert done.stderr.splitlines() == [
        "genir: vae some/vae: its licence must be accepted on the hub, and HF_TOKEN set",
        "genir: lora other/lora: no such folder or file, and the hub knows no such id (or it is private)",
    ]


def test_without_a_network_or_with_the_switch_set_it_says_so(fetch):
    done = fetch(HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("genir: model some/model: no such folder, not in the hub cache ")
    assert "the hub is not reachable; `genir fetch CONFIG` gets it on a machine with a network" in line
    done = fetch(HF_HUB_OFFLINE="1")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("and HF_HUB_OFFLINE is set: unset it for this command")


def test_a_damaged_download_is_told(fetch, hub):
    name = "diffusion_pytorch_model.safetensors"
    whole = (hub.repositories["some/vae"] / name).read_bytes()
    hub.damaged[name] = whole[:-1] + bytes([whole[-1] ^ 1])
    done = fetch("model=embedded", "model.vae=some/vae")
    assert done.returncode == 2
    assert f"genir: vae some/vae: {name} is not the hub's file (SHA-256): delete " in done.stderr


def test_a_job_that_lacks_its_model_offline_says_how_to_fetch_it(fetch, tmp_path):
    done = fetch(command=("generate", "generate_mine.yaml", "run=out"), HF_HUB_OFFLINE="1")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("genir: model some/model: ")
    assert "`genir fetch CONFIG`" in line
    assert not (tmp_path / "out").exists()


def test_every_field_that_may_hold_a_hub_id_is_found():
    told = {
        "model": {
            "id": "a/model",
            "variant": "fp16",
            "revision": "v1",
            "vae": "b/vae",
            "loras": ["c/lora", "d.safetensors"],
        },
    }
    config = resolve(Generate, told, "here", [])
    assert set(named_in(config)) == {
        Named("model", "a/model", "v1", "fp16"),
        Named("vae", "b/vae", None, "fp16"),
        Named("lora", "c/lora"),
    }
    asked = resolve(Prepare, {"images": "photos", "captions": {"chat": {"model": "e/captioner"}}}, "here", [])
    assert set(named_in(asked)) == {Named("chat model", "e/captioner")}
    server = {"images": "photos", "captions": {"chat": {"model": "e/captioner", "url": "http://localhost/v1"}}}
    assert list(named_in(resolve(Prepare, server, "here", []))) == []


def test_the_command_of_a_config_is_known_by_its_name_or_its_keys(tmp_path):
    for name, kind in (("generate_sdxl", "Generate"), ("prepare_sdxl", "Prepare"), ("prompts_write", "Write")):
        assert _kind_of(f"configs/{name}.yaml", []).__name__ == kind
    (tmp_path / "mine.yaml").write_text("images: photos\ncaptions: {chat: {model: e/captioner}}\n")
    assert _kind_of(str(tmp_path / "mine.yaml"), []) is Prepare
    with pytest.raises(ConfigError, match=r"mine\.yml: no such config file"):
        _kind_of(str(tmp_path / "mine.yml"), [])
    (tmp_path / "none.yaml").write_text("nothing: known\n")
    with pytest.raises(ConfigError, match="of which command"):
        _kind_of(str(tmp_path / "none.yaml"), [])


def test_a_config_that_is_not_there_is_said_to_be_so():
    with pytest.raises(ConfigError, match=r"^mine\.yaml: no such config file"):
        _kind_of("mine.yaml", [])

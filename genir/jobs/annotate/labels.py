"""The labels of one domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import images
from genir.annotators.backends import BACKENDS, NOT_SUPPORTED, Given
from genir.annotators.draw import finished, label_of
from genir.annotators.label import Label, View
from genir.annotators.licences import allows_commercial_use
from genir.errors import ConfigError
from genir.halves import in_halves
from genir.jobs.annotate.models import Found, find_file, find_model, identity
from genir.jobs.annotate.work import Note, Noted, failed
from genir.records import Columns, Score, Verdict

if TYPE_CHECKING:
    import torch

    from genir.annotators.backends import Backend
    from genir.annotators.draw import Sense
    from genir.annotators.label import Predict
    from genir.config.annotate import DomainConfig
    from genir.sources.pictures import Picture

LEVEL = 6  # zlib's; labels compress well
_SCORES: dict[str, Columns] = {"segmentation": {"person_area": "float"}, "openpose": {"people": "int"}}


class Labels:
    """Work of the stage `annotation_<domain>`."""

    def __init__(
        self, domain: str, config: DomainConfig, commercial: bool, self_check: bool, device: Callable[[], torch.device]
    ) -> None:
        """Find the models; raises ConfigError, ModelError, ExtraError for what cannot be used."""
        self.domain, self.config, self._device = domain, config, device
        self.what = f"domains.{domain} backend {config.backend}"
        self.backend = self._backend()
        self._checked = self_check and bool(self.backend.needs) and not self.backend.finished
        self.options = self._options()
        self.models = self._models()
        licences = dict.fromkeys(model.licence for model in self.models.values())
        self.licence = self.backend.licence or config.licence or " + ".join(licences) or "as the labels say"
        if commercial and not allows_commercial_use(self.licence):
            raise ConfigError(
                f"{self.what}: its licence is {self.licence}, and commercial is true; choose another model, or say "
                f"domains.{domain}.licence where you know better"
            )
        self.columns: Columns = {
            "model": "string",
            "revision": "string",
            "licence": "string",
            "label_sha256": "string",
            **_SCORES.get(domain, {}),
        }
        self.said: dict[str, Score] = {
            "model": f"{config.backend}: {', '.join(model.name for model in self.models.values())}".removesuffix(": "),
            "revision": config.revision or "",
            "licence": self.licence,
        }

    def _backend(self) -> Backend:
        why = NOT_SUPPORTED.get((self.domain, self.config.backend))
        if why:
            raise ConfigError(f"{self.what}: not supported: {why}")
        known = BACKENDS[self.domain]
        if self.config.backend not in known:
            raise ConfigError(f"{self.what}: no such backend; known: {', '.join(known)}")
        return known[self.config.backend]

    def _options(self) -> dict[str, float | int]:
        known = self.backend.options
        for name, value in self.config.options.items():
            if name not in known:
                raise ConfigError(f"{self.what}: no option {name}; it has: {', '.join(known) or 'none'}")
            if value <= 0 or (isinstance(known[name], int) and value != int(value)):
                kind = "a whole number" if isinstance(known[name], int) else "a number"
                raise ConfigError(f"{self.what}: option {name} = {value}: expected {kind} above 0")
        return {**known, **self.config.options}

    def _models(self) -> dict[str, Found]:
        config, found = self.config, dict[str, Found]()
        for role in ("model", "detector", "folder"):
            given: str | None = getattr(config, role)
            if role not in self.backend.needs:
                if given is not None:
                    raise ConfigError(f"domains.{self.domain}.{role}: the backend {config.backend} takes none")
                continue
            kind = self.backend.needs[role]
            if given is None:
                hint = f", for example {self.backend.suggested}" if self.backend.suggested else ""
                raise ConfigError(f"{self.what}: needs domains.{self.domain}.{role}{hint}")
            if kind == "model":
                revision = config.revision if role == "model" else None
                licence = config.licence if role == "model" else None
                found[role] = find_model(given, revision, licence, f"{self.what}, {role}")
            elif kind == "file":
                found[role] = find_file(given, self.backend.licence, f"{self.what}, {role}")
            else:
                labels = Path(given).expanduser() / f"annotation_{self.domain}"
                if not labels.is_dir():
                    raise ConfigError(f"{self.what}: no folder {labels}; it holds a NAME.png for every picture NAME")
                found[role] = Found(Path(given).name, labels.parent, {}, config.licence or "unknown")
        if self.config.backend == "hed":
            from genir.annotators.hed import weights

            found["model"] = find_file(str(weights()), self.backend.licence, self.what)
        return found

    def meaning(self) -> dict[str, Any]:
        """What makes two stages the same, beside source and cut."""
        return {
            "domain": self.domain,
            "backend": self.config.backend,
            "options": self.options,
            "files": identity(self.models),
            "self_check": self._checked,
            "exported": self.backend.exported,
        }

    def load(self) -> tuple[Note, dict[str, Any]]:
        """The backend, checked on a scene with known labels; raises ModelError."""
        from genir.annotators import selfcheck

        paths = {role: model.path for role, model in self.models.items()}
        predict = self.backend.build(Given(self.domain, paths, self.options, self._device()))
        sense = self.backend.senses[0]
        if self._checked:
            sense = selfcheck.decide(self.domain, predict, self.backend.senses, self.what)
        env = {
            **self.said,
            "backend": self.config.backend,
            "about": self.backend.what,
            "commercial_use": allows_commercial_use(self.licence),
            "options": self.options,
            "files": identity(self.models),
            "self_check": "passed" if self._checked else "not run",
            "sense": {"depth": sense.depth, "normal_right": sense.right},
            "device": self._device().type,
        }
        return lambda batch: self._noted(batch, predict, sense), env

    def _noted(self, batch: list[Picture], predict: Predict, sense: Sense) -> list[Noted]:
        def work(some: Sequence[Picture]) -> list[Noted]:
            views = [_view(picture) for picture in some]
            made = zip(some, views, predict(views), strict=True)
            return [self._judged(picture, self._label(view, prediction, sense)) for picture, view, prediction in made]

        return in_halves(batch, work, failed) if batch else []

    def _label(self, view: View, prediction: Any, sense: Sense) -> Label:
        if self.backend.finished:
            return finished(self.domain, prediction if prediction.size else None, view.size_HW)
        return label_of(self.domain, prediction, view.size_HW, sense)

    def _judged(self, picture: Picture, label: Label) -> Noted:
        verdict = Verdict("rejected", label.reason) if label.reason else Verdict("kept")
        columns: dict[str, Score] = dict(label.scores)
        if label.pixels_CHW is not None:
            columns["label_sha256"] = images.pixels_sha256(label.pixels_CHW)
        return Noted(picture, verdict, label.pixels_CHW, columns)

    def files(self, noted: Noted) -> dict[str, bytes]:
        """The label as PNG, without loss; that of a synthetic picture is marked as one."""
        assert noted.pixels_CHW is not None
        return {f"{noted.key}.png": images.encode(noted.pixels_CHW, "png", LEVEL, bool(noted.picture.synthetic))}


def _view(picture: Picture) -> View:
    assert picture.pixels_CHW is not None
    return View(picture.original.name, picture.pixels_CHW)

"""Labels of rendered scenes for `genir annotate`: what they say is what the renderer knows."""

import numpy as np

from genir.annotators.draw import Sense, agreement, label_of
from genir.annotators.segments import CLASSES
from tools.embedded.render.canvas import Label
from tools.embedded.render.labelled import TO_TWELVE, predictions
from tools.embedded.render.scenes import render


def test_annotated_scenes_have_the_renderers_labels():
    scene = render("mountains", 3, 96)
    found = predictions(scene)
    size = scene.label_HW.shape
    labels = {domain: label_of(domain, prediction, size, Sense()) for domain, prediction in found.items()}
    assert {domain: label.reason for domain, label in labels.items()} == dict.fromkeys(found, "")
    sky = scene.label_HW == Label.SKY
    depth = labels["depth"].pixels_CHW[0]
    assert depth[sky].max() == 0
    solid = np.isfinite(scene.depth_HW)
    assert np.corrcoef(depth[solid], 1 / scene.depth_HW[solid])[0, 1] > 0.99
    assert (found["segmentation"][sky] == CLASSES.index("sky")).all()
    assert np.array_equal(labels["albedo"].pixels_CHW.transpose(1, 2, 0), scene.albedo_HWC)
    assert agreement(depth, labels["normal"].pixels_CHW) > 0.7
    skyline = (sky[:-1] != sky[1:]).nonzero()
    assert (found["edge"][1:][skyline] == 1).all()


def test_annotated_scenes_use_every_class_of_the_renderer():
    groups = {CLASSES[number] for number in TO_TWELVE}
    assert len(TO_TWELVE) == len(Label)
    assert {"sky", "water", "plant", "mountain", "building", "road, earth, sand"} < groups
    assert not groups & {"person", "animal", "vehicle"}

"""Floors under the table of faces in docs/methods.md, on the quick part of it."""

from face_strata import strata

from genir.detectors.faces import FLOOR, FaceDetector

FLOORS = {
    "lfw_subset faces, 48 px": 30,
    "astronaut 512 px": 8,
    "astronaut 256 px": 8,
    "astronaut 128 px": 5,
    "astronaut, 96 to 48 px": 5,
}
"""Beginning of a stratum's name -> faces that must be found."""
ALARMS = 1
"""In all strata without people together."""


def test_faces_are_found_and_nothing_else_is():
    detector, alarms, seen = FaceDetector(), 0, 0
    for name, has_face, images in strata((48,), 30):
        if name.startswith("scikit-image"):  # large; test_faces.py looks at some
            continue
        hits = sum(detector.detect(image[None])[0].score >= FLOOR for image in images)
        if not has_face:
            alarms += hits
            continue
        floor = next((least for start, least in FLOORS.items() if name.startswith(start)), None)
        if floor is not None:
            seen += 1
            assert hits >= floor, f"{name}: {hits} of {len(images)}"
    assert seen == len(FLOORS)
    assert alarms <= ALARMS

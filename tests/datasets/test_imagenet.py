import json

import numpy as np
import pytest

WNIDS = {"n02012849": (250, 0, 0), "n03126707": (0, 250, 0), "n01440764": (0, 0, 250)}


@pytest.fixture
def imagenet(tmp_path, picture):
    for wnid, colour in WNIDS.items():
        for n in range(3):
            picture(f"imagenet/train/{wnid}/{wnid}_{n}.JPEG", colour, size=(50, 30))
        picture(f"imagenet/val/{wnid}/ILSVRC2012_val_0000000{n}.JPEG", colour)
    return tmp_path / "imagenet"


def write_index(imagenet, *entries):
    index = {str(number): entry for number, entry in enumerate(entries)}
    (imagenet / "imagenet_class_index.json").write_text(json.dumps(index))


def colours(target):
    labels = np.load(target / "y_train.npy")
    brightest = np.load(target / "x_train.npy")[:, 16, 16].argmax(axis=1)
    return {int(label): int(channel) for label, channel in zip(labels, brightest)}


def test_class_ids_are_those_of_the_class_index(run_prepare, imagenet):
    # Two classes of ImageNet are called crane: the bird and the machine.
    write_index(
        imagenet, ["n03126707", "crane"], ["n01440764", "tench"], ["n02012849", "crane"]
    )
    target, preparation = run_prepare("imagenet", source=imagenet, shape=(32, 32, 3))
    assert colours(target) == {0: 1, 1: 2, 2: 0}
    assert preparation.sources == [
        imagenet / name for name in ("train", "val", "imagenet_class_index.json")
    ]
    assert preparation.splits["train"].class_counts == {
        "n03126707 crane": 3,
        "n01440764 tench": 3,
        "n02012849 crane": 3,
    }


def test_without_a_class_index_the_wnids_are_numbered_in_their_order(
    run_prepare, imagenet
):
    target, preparation = run_prepare("imagenet", source=imagenet, shape=(32, 32, 3))
    assert colours(target) == {0: 2, 1: 0, 2: 1}
    assert "no imagenet_class_index.json" in preparation.warnings[0]


def test_more_or_fewer_classes_than_the_index_names_are_told(assert_refused, imagenet):
    write_index(imagenet, ["n03126707", "crane"], ["n01440764", "tench"])
    assert_refused(
        r"train also holds the class folder\(s\) n02012849: 2 classes are expected",
        "imagenet",
        source=imagenet,
    )
    write_index(imagenet, *([wnid, "x"] for wnid in WNIDS), ["n00000001", "extra"])
    assert_refused(
        r"train lacks the class folder\(s\) n00000001: 4 classes are expected",
        "imagenet",
        source=imagenet,
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not a class index"),
        (b'{"1": ["n01440764", "tench"]}', "is not a class index"),
        (b'{"0": ["n01440764", "a"], "1": ["n01440764", "b"]}', "has a class twice"),
    ],
    ids=range(3),
)
def test_a_class_index_of_another_form_is_named(
    assert_refused, imagenet, content, message
):
    (imagenet / "imagenet_class_index.json").write_bytes(content)
    assert_refused(
        rf"imagenet_class_index\.json {message}.*put the file of Keras there",
        "imagenet",
        source=imagenet,
    )


def test_validation_pictures_not_yet_sorted_into_classes_are_told(
    assert_refused, imagenet, picture
):
    for path in (imagenet / "val").glob("*/*.JPEG"):
        path.unlink()
        path.parent.rmdir()
    picture("imagenet/val/ILSVRC2012_val_00000001.JPEG")
    assert_refused(
        "val holds 1 images but no class folders", "imagenet", source=imagenet
    )


def test_what_is_missing_is_named_with_how_to_get_it(
    assert_refused, imagenet, tmp_path
):
    (imagenet / "val").rename(imagenet / "validation")
    assert_refused(
        r"imagenet lacks val/\. Register at image-net\.org", "imagenet", source=imagenet
    )
    assert_refused(
        rf"lacks train/ and val/\. Register .* Put it into {tmp_path}/data/imagenet",
        "imagenet",
    )

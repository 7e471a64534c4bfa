"""Parse the option `--pixels`, the pixels that a trained network expects; without numpy, since all commands import it.

The presets are those of `keras.applications.imagenet_utils.preprocess_input`, whose pixels are 0 to 255:

- `caffe`: blue, green, red; less the mean of ImageNet (103.939, 116.779, 123.68); not divided.
- `torch`: to [0, 1], less the mean (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225), as torchvision's networks.
- `tf`: to [-1, 1].
"""

import math
import re
from dataclasses import dataclass
from typing import Sequence, Tuple

AS_THEY_ARE = "0-1"
_GIVEN = re.compile(r"mean=(?P<mean>[-+.\deE,]+),std=(?P<std>[-+.\deE,]+)")


@dataclass(frozen=True)
class Pixels:
    """Affine change from pixels in [0, 1] to the pixels of a network.

    Attributes
    ----------
    factor, shift : tuple of float
        Factor and offset of a pixel: one number, or one for each of the network's channels.
    reversed : bool
        Whether the network's channels are blue, green, red.
    """

    factor: Tuple[float, ...]
    shift: Tuple[float, ...]
    reversed: bool = False


def _standardised(mean: Sequence[float], std: Sequence[float]) -> Pixels:
    """Return pixels less a mean, divided by a standard deviation; one of them may be one number for all channels."""
    channels = max(len(mean), len(std))
    means, deviations = (tuple(numbers) * (channels // len(numbers)) for numbers in (mean, std))
    return Pixels(tuple(1 / one for one in std), tuple(-m / s for m, s in zip(means, deviations)))


_PRESETS = {
    AS_THEY_ARE: Pixels((1.0,), (0.0,)),
    "0-255": Pixels((255.0,), (0.0,)),
    "tf": Pixels((2.0,), (-1.0,)),
    "torch": _standardised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": Pixels((255.0,) * 3, (-103.939, -116.779, -123.68), reversed=True),
}


def parse_pixels(text: str) -> Pixels:
    """Read `caffe`, `torch`, `tf`, `0-1`, `0-255`, or `mean=0.5,std=0.5` with one number or one for each channel.

    Mean and standard deviation refer to pixels in [0, 1], as in torchvision's `Normalize`.

    Raises
    ------
    ValueError
        The text has none of these forms.
    """
    if text in _PRESETS:
        return _PRESETS[text]
    match = _GIVEN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is none of {', '.join(_PRESETS)}, and not like mean=0.5,std=0.25")
    mean, std = ([float(number) for number in match[name].split(",")] for name in ("mean", "std"))
    if not (all(map(math.isfinite, [*mean, *std])) and min(std) > 0):
        raise ValueError(f"{text!r}: a standard deviation is above 0")
    if 1 not in (len(mean), len(std)) and len(mean) != len(std):
        raise ValueError(f"{text!r} has {len(mean)} means and {len(std)} standard deviations")
    if max(map(abs, mean)) > 1:
        raise ValueError(f"{text!r}: mean and std refer to pixels in [0, 1]; divide both by 255")
    return _standardised(mean, std)

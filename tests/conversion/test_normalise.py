"""Edge cases of scale factors; tests/properties/test_conversion_networks.py compares random networks."""

import json

import numpy as np
import pytest

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.normalise import measure, scale_factors
from snnb.conversion.toolbox_config import configuration, quiet
from snnb.core.errors import InputError
from snnb.io.keras import keras

L = keras.layers


def the_toolboxs(parsed, config, x, scratch):
    """Scale factors and weights after the toolbox's own normalisation of a copy."""
    from snntoolbox.conversion.utils import normalize_parameters

    copy = keras.models.clone_model(parsed)
    copy.set_weights(parsed.get_weights())
    with quiet():
        normalize_parameters(copy, config, x_norm=x, path=str(scratch))
    [written] = scratch.glob("*.json")
    return json.loads(written.read_text()), copy.get_weights()


@pytest.mark.toolbox
def test_layer_without_activity(small, pixels, tmp_path):
    from snnb.conversion.toolbox import to_parsed

    kernel, bias = small.layers[5].get_weights()
    small.layers[5].set_weights([-np.abs(kernel), np.full_like(bias, -1)])
    config = configuration("net", [ConversionSettings(batch_size=40)])
    parsed = to_parsed(small, config)
    activity = measure(parsed, pixels, batch_size=40)
    assert activity.silent == ["02Conv2D_2x2x6"]
    assert activity.percentiles == {
        k: v for k, v in the_toolboxs(parsed, config, pixels, tmp_path)[0].items() if k != "input"
    }


@pytest.mark.toolbox
def test_percentile_below_zero_is_refused(with_linear_layer, pixels):
    from snnb.conversion.toolbox import to_parsed

    parsed = to_parsed(with_linear_layer, configuration("net"))
    percentiles = measure(parsed, pixels, percentile=1, batch_size=40).percentiles
    assert percentiles["01Dense_7"] < 0
    with pytest.raises(InputError, match="01Dense_7: the percentile"):
        scale_factors(parsed, percentiles)

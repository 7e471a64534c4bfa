"""TensorFlow, with the environment variables that this package needs.

Importing this module imports TensorFlow without messages; all modules import it from
here.
"""

import os

from snnb.core.machine import processors
from snnb.core.tensorflow_process import (
    import_messages_hidden,
    set_tensorflow_variables,
)

__all__ = ["tensorflow"]

set_tensorflow_variables()
# TensorFlow ignores the processor limit of a container. It reads these variables when
# it computes first.
for _variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_variable, str(processors()))
with import_messages_hidden():
    import tensorflow

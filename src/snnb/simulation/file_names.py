"""Names of the files that a simulation writes, for all that read them; no TensorFlow."""

SUMS = "spike_rate_sums.npz"
BY_CLASS = "spike_counts_by_class.npz"
BY_BIN = "spike_counts_by_bin.npz"
SPIKE_TIMES = "spike_times.npz"
ACCURACIES = "sim_accuracies.json"

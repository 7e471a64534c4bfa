"""Names that other programs give to options of stages, each with the option of snnb."""

SYNONYMS = {
    "--chip": "--hardware",
    "--num-steps": "--duration",
    "--steps": "--duration",
    "--time-steps": "--duration",
    "--timesteps": "--duration",
}

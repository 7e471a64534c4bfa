"""Write the commands that messages recommend."""

# Largest values of options of `parse`, which no recommendation exceeds
MAX_WEIGHT_BITS = 16
MAX_CALIBRATED_STEPS = 1000
CALIBRATED_STEPS = 16  # where no duration is at hand; that of the README


def recommend(command: str, **options: object) -> str:
    """Return a command for a message: `` `snnb parse RUN --weight-bits 8` ``.

    `RUN` stands for the run directory. Options are keyword arguments by the names of
    their fields; True is a switch. A caller recommends only what the command accepts
    for the network at hand: a network from a NIR or lava-dl file is not converted.
    """
    words = ["snnb", command, "RUN"]
    for name, value in options.items():
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(str(value))
    return f"`{' '.join(words)}`"

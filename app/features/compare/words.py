"""What is found of the arms, as people read it."""

from app.features.compare.numbers import Belief, Compared, Sign
from app.features.compare.pictures import Structure
from app.ui import bands
from app.ui.bands import Band

STRUCTURES = {
    Structure.FREE: "Free form: each output depends on each input.",
    Structure.SHIFT: "Coupling: one coordinate is kept, the other shifted. Volume is kept.",
    Structure.COUPLING: "Coupling: one coordinate is kept.",
    Structure.AUTOREGRESSIVE: "Autoregressive: triangular.",
}


def sentences(found: Compared) -> list[str]:
    """Who is ahead at equal steps and at equal time, and who believes what is not so; of flows that are not trained yet
    nothing is said."""
    said = [bands.in_words(found.by_steps), bands.in_words(found.by_time)]
    return [*dict.fromkeys(said), *(about(one) for one in found.beliefs if found.by_steps.steps)]


def about(found: Belief) -> str:
    values, bias = f"NLL {found.believed} and has {found.true}", found.bias
    if found.sign is Sign.NONE:
        return f"{found.label} believes what is so: {values} nats."
    if found.sign is Sign.BELOW:
        bias = Band(-bias.mean, -bias.high, -bias.low)
        sentence = f"**{found.label} thinks too little of itself, by {bias} nats**: it believes {values}"
    elif found.sign is Sign.ABOVE:
        sentence = f"**{found.label} flatters itself by {bias} nats**: it believes {values}"
    else:
        wrong = f"{found.label} is wrong about itself, this way or that by the seed: by {bias} nats"
        sentence = f"**{wrong}**: it believes {values}"
    if found.mass:
        sentence += f"; the density that it believes in has mass {found.mass}"
    if found.is_impossible:
        sentence += f", and its NLL would lie below the entropy, {found.entropy:.3f}, which none can"
    return f"{sentence}."

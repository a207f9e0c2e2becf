"""What is found of the arms, as people read it."""

from app.features.compare.numbers import Belief, Compared, Sign
from app.features.compare.pictures import Structure
from app.ui import bands
from app.ui.bands import Band

STRUCTURES = {
    Structure.FREE: "Free form: each output depends on each input.",
    Structure.SHIFT: "Additive coupling: one coordinate stays, the other is shifted. Areas stay the same.",
    Structure.COUPLING: "Coupling: one coordinate stays.",
    Structure.AUTOREGRESSIVE: "Autoregressive: a triangular matrix.",
}


def sentences(found: Compared) -> list[str]:
    """Which flow is ahead at equal steps and at equal time, and which is wrong about its loss; nothing about flows that
    are not trained yet."""
    said = [bands.in_words(found.by_steps), bands.in_words(found.by_time)]
    return [*dict.fromkeys(said), *(about(one) for one in found.beliefs if found.by_steps.steps)]


def about(found: Belief) -> str:
    values, bias = f"it believes NLL {found.believed}, and the truth is {found.true}", found.bias
    if found.sign is Sign.NONE:
        return f"{found.label} is right about its loss: {values} nats."
    if found.sign is Sign.BELOW:
        bias = Band(-bias.mean, -bias.high, -bias.low)
        sentence = f"**{found.label} underrates itself by {bias} nats**: {values}."
    elif found.sign is Sign.ABOVE:
        sentence = f"**{found.label} overrates itself by {bias} nats**: {values}."
    else:
        wrong = f"{found.label} is wrong about its loss, by {bias} nats, and the sign depends on the seed"
        sentence = f"**{wrong}**: {values}."
    if found.mass:
        sentence += f" The density that it believes in has mass {found.mass}."
    if found.is_impossible:
        sentence += f" No density has an NLL below the entropy, {found.entropy:.3f}, so its belief is impossible."
    return sentence

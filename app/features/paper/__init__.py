"""The paper, claim by claim: what is found of each here, from what is stored."""

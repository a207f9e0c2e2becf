"""Residual flows (Chen, Behrmann, Duvenaud, Jacobsen, NeurIPS 2019): a compact core that reads like the paper."""

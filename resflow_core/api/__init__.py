"""The library for other programs: a density in your own units, blocks of your own networks, and flows as files.

    residual_flow     `ResidualFlow`: fit it to points, ask it for densities, draw from it, keep it as a file
    fitting           its fit: own units, validation, the best weights, an early stop
    by_kernels        steps of a fit by compiled kernels, in the plane
    sizes             sizes and settings of a fit that suit the dimension and the number of points
    conditional       flows of x, given a context
    bases             the distribution of z, and how files hold it
    distribution      the density as a `torch.distributions.Distribution`
    blocks            `ResidualBlock`: z = x + g(x) with any module g
    layers            `LipschitzLinear` for networks of your own, and the certified bound of such a network
    implicit          gradients of the inverse, by the implicit function theorem
    zuko              `to_zuko`: blocks and flows as transforms of zuko
    zuko_transforms   these transforms
    moments           the variance of an estimate, for matrices as they come
    library_file      a `ResidualFlow` as a file
    flow_file         a `Flow` as a file
    choices           arguments in all forms: a name or a value, a number or a generator, an array or a tensor
    stream            modules with a random generator of their own

Importing the package registers everything that a flow can be built of.
"""

from resflow_core import branches, expressions, fast, norms  # noqa: F401

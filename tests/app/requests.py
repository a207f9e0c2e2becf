"""What tests ask a job or an engine for."""

from dataclasses import replace

from app.engine.measurements import MEASUREMENTS


def wanting(request, measured, **others):
    """The same request, with these measurements as well."""
    return replace(request, measured={**request.measured, **measured}, **others)


def pieces(job, name, request, *, moving=True):
    """A measurement of a job, in its pieces."""
    return MEASUREMENTS[name].made(moving)(job, request, request.measured[name])


def reported(*records):
    """What was measured, as `ArmReport.measured` has it."""
    return {type(record): record for record in records if record is not None}

"""Where rooms are found, below the app's own path: for each function of `served` its paths and what they take."""

PATHS: dict[str, tuple[tuple[str, ...], str]] = {
    "phone": (("r", "r/{code}"), "GET"),
    "wall": (("wall/{code}",), "GET"),
    "file": (("rooms/pages/{name}",), "GET"),
    "open_room": (("rooms",), "POST"),
    "told": (("rooms/{code}",), "GET"),
    "act": (("rooms/{code}",), "POST"),
    "exported": (("rooms/{code}/{name}.csv", "rooms/{code}/{name}.py"), "GET"),
}

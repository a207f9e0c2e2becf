"""What a browser knows of one page: its elements, its clocks, its widgets' values and the messages it keeps."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Navigation_pb2 import Navigation
from streamlit.proto.NewSession_pb2 import NewSession
from streamlit.proto.NumberInput_pb2 import NumberInput
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.WidgetStates_pb2 import WidgetState

from app.engine.training.weights import decode

Path = tuple[int, ...]
STEP = re.compile(r"step \*\*([\d,]+)\*\*")
PANES = "resflow_live_panes"
MAIN = 0  # where paths of the page's main part begin; the sidebar's begin with 1


class Unexpected(AssertionError):
    """The page is not as it was expected to be."""


def _chosen(widget: Any) -> dict[str, Any]:
    if widget.set_value:
        return {"string_value": widget.raw_value} if widget.HasField("raw_value") else {}
    return {"string_value": widget.options[widget.default]} if widget.HasField("default") else {}


def _slider(widget: Slider) -> dict[str, Any]:
    if widget.type != Slider.SELECT_SLIDER:
        return {"double_array_value": widget.value if widget.set_value else widget.default}
    options = widget.raw_value if widget.set_value else [widget.options[round(i)] for i in widget.default]
    return {"string_array_value": options}


def _number(widget: NumberInput) -> dict[str, Any]:
    name = "value" if widget.set_value else "default"
    if not widget.HasField(name):
        return {}
    value = getattr(widget, name)
    return {"int_value": int(value)} if widget.data_type == NumberInput.INT else {"double_value": value}


def _flag(widget: Any) -> dict[str, Any]:
    return {"bool_value": widget.value if widget.set_value else widget.default}


def _typed(widget: Any) -> dict[str, Any]:
    return {"string_value": widget.value if widget.set_value else widget.default}


def _group(widget: Any) -> dict[str, Any]:
    chosen = widget.raw_values if widget.set_value else [widget.options[i].content for i in widget.default]
    return {"string_array_value": chosen}


def _several(widget: Any) -> dict[str, Any]:
    return {
        "string_array_value": widget.raw_values if widget.set_value else [widget.options[i] for i in widget.default]
    }


VALUES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "button_group": _group,
    "checkbox": _flag,
    "multiselect": _several,
    "number_input": _number,
    "radio": _chosen,
    "selectbox": _chosen,
    "slider": _slider,
    "text_area": _typed,
    "text_input": _typed,
}
"""What a browser says of each kind of widget from the moment on in which it is drawn."""

TEXTS: dict[str, Callable[[Any], str]] = {
    "alert": lambda element: element.body,
    "exception": lambda element: f"{element.type}: {element.message}",
    "heading": lambda element: element.body,
    "markdown": lambda element: element.body,
    "metric": lambda element: f"{element.label}: {element.body}",
    "progress": lambda element: element.text,
    "text": lambda element: element.body,
}
"""What each kind of element says to whoever reads the page."""


@dataclass(frozen=True)
class Node:
    """An element, or a block, whose `element` is None."""

    kind: str
    element: Any
    fragment: str
    run: str
    value: WidgetState | None = None


@dataclass
class _Kept:
    message: ForwardMsg
    run: int  # by the count of runs, when it was used last


@dataclass
class ShownPage:
    nodes: dict[Path, Node] = field(default_factory=dict)
    clocks: dict[str, float] = field(default_factory=dict)  # fragments, and every how many seconds they are called
    query: str = ""
    script: str = ""  # the hash of the page's script
    session: str = ""
    address: str = ""  # the last part of the page's address; that of the home page is empty
    missing: bool = False  # whether the server said that there is no such page
    _run: str = ""
    _runs: int = 0
    _most_age: int = 0
    _kept: dict[str, _Kept] = field(default_factory=dict)

    def note(self, message: ForwardMsg) -> None:
        """Take in a message, as a browser does. Raises `Unexpected` for a reference to one that never came, and for a
        script that could not be compiled."""
        message = self._whole(message)
        match message.WhichOneof("type"):
            case "new_session":
                self._run = message.metadata.run.script_run_id
                self._begin(message.new_session, whole=not message.metadata.run.fragment_ids)
            case "delta":
                self._draw(tuple(message.metadata.delta_path), message.delta)
            case "auto_rerun":
                self.clocks[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            case "stop_auto_rerun":
                for fragment in message.stop_auto_rerun.fragment_ids:
                    self.clocks.pop(fragment, None)
            case "navigation":
                self._arrive(message.navigation)
            case "page_info_changed":
                self.query = message.page_info_changed.query_string
            case "page_not_found":
                self.missing = True
            case "script_finished":
                self._finish(message)

    def state(self, fragment: str = "", pressed: str = "") -> ClientState:
        """What a browser sends to have the page, or a fragment of it, run anew: with all widgets' values, and the click
        on the button with the id `pressed`."""
        state = ClientState(query_string=self.query, page_script_hash=self.script, fragment_id=fragment)
        state.cached_message_hashes.extend(self._kept)
        state.widget_states.widgets.extend(node.value for node in self.nodes.values() if node.value)
        if pressed:
            state.widget_states.widgets.add(id=pressed, trigger_value=True)
        return state

    def of_kind(self, kind: str) -> Iterator[Node]:
        return (node for node in self.nodes.values() if node.kind == kind)

    def labels(self) -> list[str]:
        """Those of all buttons."""
        return sorted(node.element.label for node in self.of_kind("button"))

    def button(self, label: str) -> Node:
        """The button of this label, which can be pressed. Raises `Unexpected` unless there is exactly one."""
        found = [node for node in self.of_kind("button") if node.element.label == label]
        if len(found) != 1:
            labels = self.labels()
            raise Unexpected(f"One button {label!r} was expected, and {len(found)} are there; all buttons: {labels}.")
        if found[0].element.disabled:
            raise Unexpected(f"The button {label!r} cannot be pressed now.")
        return found[0]

    def texts(self) -> list[str]:
        """What can be read in the page's main part, from top to bottom."""
        parts = ((path, node) for path, node in sorted(self.nodes.items()) if path[0] == MAIN)
        return [TEXTS[node.kind](node.element) for _, node in parts if node.kind in TEXTS]

    @property
    def exceptions(self) -> list[str]:
        return [f"{node.element.type}: {node.element.message}" for node in self.of_kind("exception")]

    @property
    def errors(self) -> list[str]:
        """What red boxes say."""
        return [node.element.body for node in self.of_kind("alert") if node.element.format == Alert.ERROR]

    @property
    def scenes(self) -> list[dict[str, Any]]:
        """What its live pictures were told last."""
        parts = (node.element for node in self.of_kind("bidi_component") if node.element.component_name == PANES)
        return [json.loads(part.json) for part in parts]

    @property
    def step(self) -> int:
        """The newest step of the flow that is shown, by the line of numbers and the live picture. Raises `Unexpected`
        where neither says one."""
        steps = [int(found[1].replace(",", "")) for text in self.texts() if (found := STEP.search(text))]
        for scene in self.scenes:
            if scene["frame"]:
                steps.append(scene["frame"]["step"])
            if scene["weights"]:
                steps.append(decode(base64.b64decode(scene["weights"]))[0]["step"])
        if not steps:
            raise Unexpected(f"A line with a step, or a live picture, was expected; the page says: {self.texts()}")
        return max(steps)

    def _begin(self, new: NewSession, whole: bool) -> None:
        """A run begins: of the `whole` page, whose clocks are then set anew, or of a part of it. Raises
        `Unexpected` for a part of another page than this one: a browser drops all that it shows then."""
        if not whole and self.script != new.page_script_hash:
            raise Unexpected(f"A run of the page {self.script!r} was expected, not of {new.page_script_hash!r}.")
        self.script, self.session = new.page_script_hash, new.initialize.session_id
        self._most_age = new.config.max_cached_message_age
        if whole:
            self.clocks.clear()

    def _arrive(self, navigation: Navigation) -> None:
        """From here on the page is the one that the script has chosen, not the one that was asked for."""
        self.script = navigation.page_script_hash
        chosen = [page for page in navigation.app_pages if page.page_script_hash == self.script]
        if len(chosen) != 1:
            raise Unexpected(f"One page with the hash {self.script!r} was expected; the server names {len(chosen)}.")
        self.address = chosen[0].url_pathname

    def _whole(self, message: ForwardMsg) -> ForwardMsg:
        """The message that a reference stands for. Scripts of components are large and run nowhere here."""
        if message.WhichOneof("type") == "ref_hash":
            if message.ref_hash not in self._kept:
                raise Unexpected(f"The server refers to message {message.ref_hash}, which it has not sent before.")
            kept = self._kept[message.ref_hash]
            kept.run = self._runs
            whole = ForwardMsg()
            whole.CopyFrom(kept.message)
            whole.metadata.CopyFrom(message.metadata)
            return whole
        if message.delta.new_element.HasField("bidi_component"):
            message.delta.new_element.bidi_component.js_content = ""
        if message.metadata.cacheable:
            self._kept[message.hash] = _Kept(message, self._runs)
        return message

    def _draw(self, path: Path, delta: Delta) -> None:
        if delta.WhichOneof("type") == "new_transient":
            return  # a spinner, which goes by itself
        is_block = delta.WhichOneof("type") == "add_block"
        drawn = delta.add_block if is_block else delta.new_element
        kind = drawn.WhichOneof("type") or ""
        before = self.nodes.get(path)
        if before and before.element is None and not is_block:
            self._remove(lambda other, _: other[: len(path)] == path)
        element = None if is_block else getattr(drawn, kind) if kind else drawn
        value = VALUES[kind](element) if kind in VALUES else {}
        state = WidgetState(id=element.id, **_wrapped(value)) if value else None
        self.nodes[path] = Node(kind, element, delta.fragment_id, self._run, state)

    def _finish(self, message: ForwardMsg) -> None:
        if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            raise Unexpected("The script could not be compiled.")
        if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return
        run = message.metadata.run
        if not run.fragment_ids:
            self._remove(lambda _, node: node.run != run.script_run_id)
        else:
            drawn = [
                path
                for path, node in self.nodes.items()
                if node.element is None and node.fragment in run.fragment_ids and node.run == run.script_run_id
            ]
            self._remove(
                lambda path, node: (
                    node.run != run.script_run_id
                    and (node.element is None or node.fragment)
                    and any(path[: len(block)] == block for block in drawn)
                )
            )
        self._runs += 1
        for hash, kept in list(self._kept.items()):
            of_run = not run.fragment_ids or kept.message.delta.fragment_id in run.fragment_ids
            if of_run and self._runs - kept.run > self._most_age:
                del self._kept[hash]

    def _remove(self, gone: Callable[[Path, Node], Any]) -> None:
        for path in [path for path, node in self.nodes.items() if gone(path, node)]:
            del self.nodes[path]


def _wrapped(value: dict[str, Any]) -> dict[str, Any]:
    """Arrays in the messages that hold them."""
    return {name: {"data": list(one)} if name.endswith("_array_value") else one for name, one in value.items()}

"""The button Share of every page with settings: a link, its QR code, a frame for another page, a link for a class."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode, urlsplit

import streamlit as st

from app import security, session
from app.components.qr import MOST_BYTES, code_of, qr_code
from app.components.share import copy_field, view
from app.drawing import MOST_IN_LINK
from app.engine.reports import Report
from app.link import BENCHES, MOST_CHANGES, names, shortened, told
from app.network import Reach, Shared, is_this_machine, shared
from app.ui.notices import fixed_told

Query = Mapping[str, str]

CONTROLS = "class.controls"
HOLDS_RUN = (
    "This link opens this run at this step, with all settings, all changes so far and the same view. If you use files "
    "of your own, the link asks for them."
)
HOLDS_SETTINGS = (
    "This link opens this page with all settings as they are now. If you use files of your own, the link asks for them."
)
FRAME = {"title": "Residual flows", "width": "100%", "height": "640", "loading": "lazy", "allow": "fullscreen"}


@dataclass(frozen=True)
class Offer:
    """What a page shares: its address for others, what its link asks for, and what that holds in words."""

    address: Shared
    query: Query
    holds: str
    suffix: str
    """What the keys of its widgets end with."""
    changes: Callable[[], None] | None = None
    """Draws what was changed in the run, if the link has one."""

    def key(self, name: str) -> str:
        return f"share.{name}{self.suffix}"


def of_run(report: Report) -> None:
    """Share the page's run: all settings, and all changes so far."""

    by = report.arms[0].fingerprint if report.arms else ""
    _share("", lambda: session.query(session.fixed(), by), HOLDS_RUN, lambda: _changes(report))


def of_settings(of: str) -> None:
    """Share the settings as they stand, beside what has a run of its own or none, by its name."""
    _share(f".{of}", lambda: session.query(session.fixed()), HOLDS_SETTINGS)


def link_of_settings() -> str:
    """A link that has every setting as it is now."""
    return link_of(_address(), session.query(session.fixed()))


def link_alone(query: Query, *, key: str) -> None:
    """A link to this page with `query`, and who can open it."""
    address = _address()
    copy_field(link_of(address, query), "Link", key=key)
    _reach(address)


def for_others(link: str, address: Shared, *, key: str) -> None:
    """A short link to a page of the app, as it is written on a board and as a code, and who can open it. A link that
    others cannot open is not given."""
    _reach(address)
    if not address.is_open:
        return
    st.markdown(for_board(link))
    copy_field(link, "Link", key=key)
    if code := code_of(link):
        qr_code(code, key=f"{key}.code")


def for_board(link: str) -> str:
    """A link as it is written on a board: a browser adds what stands before the host."""
    return f"**On the board** &nbsp;`{link.removeprefix('http://').removeprefix('https://')}`"


def _share(suffix: str, query: Callable[[], Query], holds: str, changes: Callable[[], None] | None = None) -> None:
    """The button, and what it opens; only while somebody looks at it."""
    popover = st.popover("Share", icon=":material/share:", on_change="rerun", key=f"share{suffix}")
    if not popover.open:
        return
    with popover:
        offer = Offer(session.note(_address()), query(), holds, suffix, changes)
        _reach(offer.address)
        sections = {title: draw for title, draw in SECTIONS.items() if draw is not _class or not session.focused()}
        tabs = st.tabs(list(sections), on_change="rerun", key=offer.key("section"))
        for tab, draw in zip(tabs, sections.values(), strict=True):
            if tab.open:
                with tab:
                    draw(offer)


def _address() -> Shared:
    return shared(st.context.url or "", st.get_option("server.address") or "")


def _reach(address: Shared) -> None:
    """Who can open a link, unless it is who can open the page."""
    if address.reach is Reach.NETWORK:
        st.caption(f"Others on your network can open it: `{address.host}` is this machine's address there.")
    elif address.reach is Reach.CLOSED:
        st.warning(
            "Only this machine can open this link, because the app was started for this machine alone. "
            "To let others in, stop the app and start it with `make app ADDRESS=0.0.0.0`.",
            icon=":material/wifi_off:",
        )
    elif address.reach is Reach.NO_NETWORK:
        st.warning(
            "Only this machine can open this link, because it is not on a network. Connect it, then open Share again.",
            icon=":material/wifi_off:",
        )


def link_of(address: Shared, query: Query) -> str:
    return f"{address.url}?{urlencode(query)}"


def frame_of(link: str) -> str:
    """The HTML that shows the page of a link in a frame."""
    attributes = {"src": f"{link}&embed=true"} | FRAME
    written = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    return f"<iframe {written}></iframe>"


def _link(offer: Offer) -> None:
    st.markdown(offer.holds)
    if (left := session.fixed()) is not None:
        st.markdown(closes(left))
    _field(offer, offer.query, "link")
    _long_drawing()
    if offer.changes:
        offer.changes()


def _long_drawing() -> None:
    """That a link does not hold the drawing, and what to do."""
    own = session.setup().own
    if own and own.drawing and not own.drawing.text:
        st.warning(
            f"Your drawing is too long for a link, which holds {MOST_IN_LINK:,} characters. So the link asks for a "
            f"file. Use *Save the points (CSV)* in the sidebar, and send `{own.drawing.name}` with the link.",
            icon=":material/attach_file:",
        )


def _field(offer: Offer, query: Query, name: str) -> str:
    """Show the link, and return it."""
    key = offer.key(name)
    link = link_of(offer.address, {**query, **view(key)})
    copy_field(link, "Link", key=key)
    return link


def _changes(report: Report) -> None:
    setup = session.shareable()
    if len(setup.changes) > MOST_CHANGES:
        st.warning(f"The link holds only the first {MOST_CHANGES} changes.")
    done = report.arms[0].step if report.arms else 0
    lines = [
        f"- {sentence}{' :gray[(planned)]' if step > done else ''}"
        for (step, _), sentence in zip(setup.changes, told(setup.train, setup.changes), strict=True)
    ]
    st.markdown("\n".join(lines) or ":gray[No setting was changed in this run.]")


def _qr(offer: Offer) -> None:
    above = st.container()
    link = _field(offer, offer.query, "qr")
    with above:
        _code(offer, link, "qr")


def _code(offer: Offer, link: str, name: str) -> None:
    if code := code_of(link):
        qr_code(code, key=offer.key(f"{name}.code"))
    else:
        st.warning(
            f"This link is too long for a QR code: it has {len(link):,} characters, and a code holds {MOST_BYTES:,}. "
            "Copy the link instead, and send it or put it on a page that others can open.",
            icon=":material/qr_code:",
        )


def _embed(offer: Offer) -> None:
    key = offer.key("embed")
    link = link_of(offer.address, {**offer.query, **view(key)})
    st.markdown("Paste this code into your own web page to show this page in a frame.")
    copy_field(frame_of(link), "Code", rows=6, key=key)
    sites = security.origins(os.environ.get(security.EMBED_VARIABLE, ""))
    allowed = f"Allowed now: {', '.join(f'`{one}`' for one in sites)}." if sites else "No site is allowed now."
    st.markdown(
        "The app must allow the site of your page. Start the app with `make app EMBED=https://lecture.example.org`, or "
        f"with `--embed`. {allowed}"
    )
    if urlsplit(link).scheme == "http" and not is_this_machine(offer.address.host):
        st.caption("This page uses http, so browsers refuse to show it in a page that uses https.")


def closes(left: Iterable[str]) -> str:
    """What a link closes that leaves these settings, by their names in links."""
    kept = [names()[name] for name in left]
    can = f"Students can change: {', '.join(f'**{title}**' for title in kept)}." if kept else "Students only watch."
    rest = "Every other setting is closed." if kept else "Every setting is closed."
    return f"{can} {rest} They read “{fixed_told(bool(kept))}” A button beside this text shows all controls."


def _class(offer: Offer) -> None:
    """A link that fixes the settings, and leaves some controls."""
    st.markdown("Fix all settings as they are now. Only the controls that you choose stay.")
    left = st.multiselect(
        "Controls that stay",
        # What belongs to the screen itself comes before the sidebar's.
        sorted(session.choosable(CONTROLS), key=lambda name: f"{name.partition('.')[0]}." not in BENCHES),
        key=CONTROLS,
        format_func=lambda name: names()[name],
        placeholder="None: the class only watches",
        help="The controls of this page. If you keep a choice, such as the law of N, its own settings stay too. "
        "Controls that you chose on other pages and views stay chosen.",
    )
    st.markdown(closes(left))
    if not offer.address.is_open:  # a class could not open it
        return
    below = st.container()
    link = _field(offer, shortened(session.query(left)), "class")
    with below:
        st.markdown(for_board(link))
    _code(offer, link, "class")


# Who came by a link for a class shows all controls before making another.
SECTIONS: dict[str, Callable[[Offer], None]] = {
    "Link": _link,
    "QR code": _qr,
    "Embed": _embed,
    "For a class": _class,
}

"""Which mutants of scripts a test in the browser reaches, by Chromium's own coverage of JavaScript."""

import json
from pathlib import Path

from playwright.sync_api import BrowserContext, CDPSession, Error

from tests.mutants.mutant import Mutant, read


class Scripts:
    """Records, for the test that runs, the mutants whose place has been executed in one of its pages."""

    def __init__(self, kept: Path):
        self.kept = kept
        self.test = ""
        self._mutants = [mutant for mutant in read() if mutant.file.endswith(".js")]
        self._sessions: dict[BrowserContext, list[CDPSession]] = {}
        self._new_page, self._close = BrowserContext.new_page, BrowserContext.close
        BrowserContext.new_page = lambda context: self._opened(context)
        BrowserContext.close = lambda context, **options: self._closed(context, **options)

    def _opened(self, context: BrowserContext):
        page = self._new_page(context)
        session = context.new_cdp_session(page)
        for command in ("Profiler.enable", "Debugger.enable"):
            session.send(command)
        session.send("Profiler.startPreciseCoverage", {"callCount": False, "detailed": True})
        self._sessions.setdefault(context, []).append(session)
        return page

    def _closed(self, context: BrowserContext, **options) -> None:
        for session in self._sessions.pop(context, []):
            try:
                self._record(session)
            except Error:  # the page was closed before its context
                continue
        self._close(context, **options)

    def _record(self, session: CDPSession) -> None:
        found = set()
        for script in session.send("Profiler.takePreciseCoverage")["result"]:
            text = session.send("Debugger.getScriptSource", {"scriptId": script["scriptId"]})["scriptSource"]
            found |= {mutant.id for mutant in self._mutants if _executed(mutant, text, script["functions"])}
        with self.kept.open("a") as file:
            for mutant in sorted(found):
                file.write(json.dumps({"mutant": mutant, "test": self.test}) + "\n")


def _executed(mutant: Mutant, text: str, functions: list[dict]) -> bool:
    """Of the ranges around a place, each inside the one before, the smallest says how often it was executed."""
    if (place := text.find(mutant.before)) < 0:
        return False
    around = [
        block
        for function in functions
        for block in function["ranges"]
        if block["startOffset"] <= place < block["endOffset"]
    ]
    smallest = min(around, key=lambda block: block["endOffset"] - block["startOffset"], default={"count": 0})
    return smallest["count"] > 0

"""What a page is handed of reports that came between two polls."""

from app.engine.records.latest_report import LatestReport
from app.engine.reports import ArmReport, HandedOut, Report, State, adds_nothing


def report(step, state=State.PLAYING, arms=2):
    return Report("a", state, tuple(ArmReport(step, 0.0, 0.0) for _ in range(arms)))


def weights(mailbox):
    return [arm.weights for arm in mailbox.report.arms]


def test_the_newest_weights_of_each_arm_stay_until_newer_ones_come():
    mailbox = LatestReport("a")
    mailbox.put(report(1))
    mailbox.hand(HandedOut("a", 1, (b"one", None)))
    mailbox.hand(HandedOut("a", 1, (None, b"two")))
    mailbox.put(report(2))
    assert weights(mailbox) == [b"one", b"two"]
    mailbox.hand(HandedOut("a", 2, (b"newer", None)))
    assert weights(mailbox) == [b"newer", b"two"]
    mailbox.put(Report("a", State.QUEUED))  # which has no arms
    assert weights(mailbox) == [b"newer", b"two"]


def test_a_run_that_goes_back_has_none_until_they_are_handed_out_again():
    mailbox = LatestReport("a")
    mailbox.hand(HandedOut("a", 0, (b"early",)))  # before any report there is nothing that they could be of
    mailbox.put(report(5, arms=1))
    mailbox.hand(HandedOut("a", 5, (b"five",)))
    mailbox.put(report(0, arms=1))
    assert (mailbox.report.rewinds, weights(mailbox)) == (1, [None])


def test_new_weights_of_what_stands_still_are_news():
    mailbox = LatestReport("a")
    mailbox.put(report(5, State.PAUSED, arms=1))
    mailbox.hand(HandedOut("a", 5, (b"trained",)))
    before = mailbox.report
    assert adds_nothing(mailbox.report, before)
    mailbox.hand(HandedOut("a", 5, (b"edited",)))
    assert not adds_nothing(mailbox.report, before)

"""Mailboxes hand over what waits as one batch, and answer for what they drop."""

from __future__ import annotations

import threading
import time

import pytest

from actors.runtime.mailbox import Delivery, Mailbox
from actors.runtime.messages import Letter, Message, Nudge
from actors.runtime.reply import Reply
from eventstore.errors import OutcomeUnknownError


class Said(Message, frozen=True, tag="test.said"):
    number: int


class Envelope:
    def __init__(self, message: object) -> None:
        self.message = message
        self.reply_to = None


def said(number: int, reply: Reply | None = None) -> Envelope:
    return Envelope(Letter(Said(number=number), reply=reply))


def numbers(delivery: Delivery) -> list[int]:
    return [letter.message.number for letter in delivery.message if isinstance(letter.message, Said)]


def test_what_waits_comes_in_order_as_one_batch() -> None:
    mailbox = Mailbox()
    for number in range(5):
        mailbox.put(said(number))
    assert numbers(mailbox.get()) == [0, 1, 2, 3, 4]
    assert mailbox.empty()


def test_a_batch_has_a_bound() -> None:
    mailbox = Mailbox(drain_limit=3)
    for number in range(5):
        mailbox.put(said(number))
    assert [numbers(mailbox.get()), numbers(mailbox.get())] == [[0, 1, 2], [3, 4]]


def test_letters_put_in_together_come_together_and_may_fill_a_batch_beyond_its_bound() -> None:
    mailbox = Mailbox(drain_limit=2)
    mailbox.put(said(0))
    mailbox.put(Envelope(tuple(said(number).message for number in (1, 2, 3))))
    mailbox.put(said(4))
    assert [numbers(mailbox.get()), numbers(mailbox.get())] == [[0, 1, 2, 3], [4]]


def test_letters_put_in_together_are_each_refused_by_a_closed_mailbox() -> None:
    mailbox, replies = Mailbox(), [Reply(), Reply()]
    mailbox.close()
    mailbox.put(Envelope(tuple(said(0, reply).message for reply in replies)))
    assert all(reply.done for reply in replies)


def test_a_foreign_message_comes_alone_and_in_its_place() -> None:
    mailbox, stop = Mailbox(), Envelope("stop")
    for envelope in (said(1), stop, said(2)):
        mailbox.put(envelope)
    assert numbers(mailbox.get()) == [1]
    assert mailbox.get() is stop
    assert numbers(mailbox.get()) == [2]


def test_a_deadline_gives_a_nudge() -> None:
    mailbox = Mailbox()
    mailbox.deadline = time.monotonic()
    [letter] = mailbox.get().message
    assert isinstance(letter.message, Nudge)


def test_closing_answers_what_waits_and_what_comes_later() -> None:
    mailbox, early, late = Mailbox(), Reply(), Reply()
    mailbox.put(said(1, early))
    mailbox.close()
    mailbox.put(said(2, late))
    for reply in (early, late):
        with pytest.raises(OutcomeUnknownError, match="rebuilt or closed"):
            reply.get(0)


def test_no_letter_is_lost_between_putting_and_closing() -> None:
    for _ in range(100):
        mailbox = Mailbox()
        replies = [Reply() for _ in range(40)]

        def post(part: list[Reply], into: Mailbox = mailbox) -> None:
            for reply in part:
                into.put(said(0, reply))

        threads = [threading.Thread(target=post, args=(replies[start::4],)) for start in range(4)]
        for thread in threads:
            thread.start()
        mailbox.close()
        for thread in threads:
            thread.join()
        assert all(reply.done for reply in replies)

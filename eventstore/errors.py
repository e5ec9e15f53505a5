"""The errors of the store, each with a remedy, and the one root of all errors of the project."""

from __future__ import annotations

from typing import ClassVar


class LogisticsError(Exception):
    """The root of every error that this project raises on purpose."""

    defined_in: ClassVar[str] = __name__
    """Where the class stands, or stood when it was first stored by name; `__module__` of one that users catch says
    from where they import it."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Remember where the class stands, before anybody says where it is imported from."""
        super().__init_subclass__(**kwargs)
        if "defined_in" not in cls.__dict__:
            cls.defined_in = cls.__module__


class StoreError(LogisticsError):
    """Something of the store failed; `remedy` says what to do about it, in one sentence."""

    remedy: str = "Look at the message; nothing that was acknowledged has been lost."

    def __init__(self, message: str, *, remedy: str = "") -> None:
        """Keep the message as the error's text and the remedy as its note."""
        super().__init__(message)
        if remedy:
            self.remedy = remedy
        self.add_note(self.remedy)


class OutcomeUnknownError(StoreError):
    """A commit failed: what it held may or may not be on disk, and only a reopened log can tell."""

    remedy = "Repeat with the same id: that is safe, whether or not the first one was written."


class NotWrittenError(StoreError):
    """A write failed, certainly before anything was written; the log goes on as it was."""

    remedy = "Nothing was written; the same batch may be repeated."


class StoreFullError(StoreError):
    """There is no room for the write: the disk is full, or the configured size is reached."""

    remedy = "Free some disk space; reading goes on meanwhile."


class DiskFullError(StoreFullError, OutcomeUnknownError):
    """The disk was full during a commit; the log has to be reopened before it takes more."""

    remedy = "Free some disk space, then repeat with the same id."


class CapReachedError(StoreFullError, NotWrittenError):
    """The store has grown to its configured largest size; nothing was written."""

    remedy = "Open the store with a larger max_map_size."


class ConflictError(StoreError):
    """An append expected another head than the log has; nothing was written."""

    remedy = "Read the head again and decide anew."


class FencedError(StoreError):
    """An append came with an epoch that is over: somebody has taken the store over since."""

    remedy = "Stop: another engine owns this store now."


class StoreInUseError(StoreError):
    """Another process, or another handle in this one, has the store open for writing."""

    remedy = (
        "Stop the other process, or send work through it; "
        "sending to a store from several processes is a later capability."
    )


class StoreAccessError(StoreError):
    """The operating system does not let this process at the files of the store."""

    remedy = (
        "Make the folder, and the files in it, readable and writable for this user; "
        "who only looks needs that, too: readers say in lock.mdb where they are."
    )


class StoreLostError(StoreError):
    """The files of the open store were deleted or replaced: writing on would be into the void."""

    remedy = "Stop this process, put the files back, and start again."


class StoreEmptyError(StoreError):
    """The store existed, and its data is gone: opening it would mean silent loss."""

    remedy = "Restore data.mdb from a backup; to really begin anew, remove the whole folder."


class StoreRolledBackError(StoreError):
    """The store holds less than it held before, or something else: it was put back to an older state."""

    remedy = (
        "Restore the newest backup; if the older state is what you want, "
        "remove `high_water.json` from the store's folder."
    )


class StoreTruncatedError(StoreError):
    """The data file is shorter than its own pages say."""

    remedy = (
        "Restore a backup, copy the file again in full, or see with `logistics doctor` what can be saved."
    )


class StoreFormatError(StoreError):
    """The store was written in a format that this version does not read."""

    remedy = "Install a newer version of logistics."


class NotAStoreError(StoreError):
    """The path is not, and cannot become, a store."""

    remedy = "Name another folder: one that is a store, is empty, or does not exist yet."


class CorruptStoreError(StoreError):
    """Stored bytes are not the bytes that were written; nothing wrong was handed out."""

    remedy = "Restore a backup, or see with `logistics doctor` what can be saved; the disk may be failing."


class CompactedError(StoreError, LookupError):
    """What was asked for was taken out of the log by a compaction."""

    remedy = "Read it from the archive: the tools of the command line do, if its files are where they were."

    def __init__(self, position: int, horizon: int = 0, archive: str = "") -> None:
        """Say how far the log was compacted, and where the rest is."""
        where = f"; the archive {archive!r} has it" if archive else ""
        upto = f"up to position {horizon}" if horizon else "there"
        gone = f"It was not archived; begin behind position {horizon}." if horizon and not archive else ""
        super().__init__(
            f"position {position} is not in the log any more: it was compacted {upto}{where}", remedy=gone
        )
        self.position = position
        self.horizon = horizon
        self.archive = archive


class ArchiveError(StoreError):
    """The archive of what was compacted is missing, damaged, or cannot be read here."""

    remedy = "Put the files of the archive back, from a backup of them if they are damaged."


class StoreClosedError(StoreError):
    """The handle was closed."""

    remedy = "Open the store again."


class ReopenNeededError(StoreError):
    """An earlier commit failed, so the handle refuses everything but `reopen` and `close`."""

    remedy = "Call reopen()."


class ForkedError(StoreError):
    """The handle was opened in another process and came here by a fork."""

    remedy = (
        "Open the store after the fork, in the one process that is to use it; or start children with spawn."
    )


class UnsupportedPlatformError(StoreError):
    """The operating system or interpreter cannot keep the guarantees of the store."""

    remedy = "Use Linux or macOS, with a CPython that has its global lock on."


class CodecError(StoreError, ValueError):
    """An event cannot be encoded, or stored bytes cannot be decoded to one."""

    remedy = "Compare the versions of the code that wrote the event and of this one."


class UnknownEventError(CodecError):
    """The event's tag or schema version is unknown here, most likely because it is newer."""

    remedy = "Install the version of logistics that wrote this event, or a newer one."

    def __init__(self, tag: str, version: int) -> None:
        """Remember which tag and schema version was met."""
        super().__init__(f"unknown event {tag!r}, version {version}")
        self.args = (tag, version)
        self.tag = tag
        self.version = version

    def __str__(self) -> str:
        """Name the tag and version."""
        return f"unknown event {self.tag!r}, version {self.version}"


class ReplayError(StoreError):
    """An event on record cannot be taken in: the state cannot be rebuilt from the log."""

    remedy = "Look at the record with `logistics show`; a newer version may take it, or a backup lack it."

    def __init__(self, position: int, entity: str, tag: str, why: BaseException | str) -> None:
        """Name the record and what became of it."""
        text = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
        super().__init__(
            f"the event {tag!r} of {entity!r} at position {position} cannot be taken in ({text})",
            remedy=getattr(why, "remedy", ""),
        )
        self.position = position
        self.entity = entity


class SafeModeError(StoreError):
    """Replaying failed at the same record several times: the store is not opened for writing any more."""

    remedy = (
        "Read it with the command line; install another version, or allow one more try: "
        "remove `replay_failures.json` from the store's folder."
    )

"""The command, the settings, the data directory: MIR-1xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


class UsageProblem(MirrorError, code="MIR-100", exit_status=2, http_status=400):
    """The command was called with something that can't work."""

    remedy = "Run the command with --help for what it takes."


class SettingsInvalid(UsageProblem, code="MIR-101", http_status=422):
    """mirror.toml or a MIRROR_* variable has a key or value that is not understood."""

    remedy = "Correct the key or value that is named; docs/operators.md lists all of them."


class NotInitialised(UsageProblem, code="MIR-102", exit_status=1):
    """The data directory has not been made yet."""

    remedy = "Run `mirror init`, or give the right directory with --data-dir."


class DataDirNotOurs(UsageProblem, code="MIR-103", exit_status=1):
    """The data directory holds files that are not a mirror's."""

    remedy = "Give an empty directory, or one that `mirror init` made."


class DataDirNotWritable(UsageProblem, code="MIR-104", exit_status=1):
    """The data directory can't be written by this user."""

    remedy = "Give the directory to the user that runs the mirror (chown), or use another one."


class FilterInvalid(UsageProblem, code="MIR-105", http_status=422):
    """A simplestreams filter can't be read."""

    remedy = "Write it as KEY=VALUE, KEY!=VALUE, KEY~REGEX or KEY!~REGEX ('release~(jammy|noble)')."


class NotFound(UsageProblem, code="MIR-106", exit_status=1, http_status=404):
    """No such source, selection, snapshot or channel."""

    remedy = "List what there is with the `list` verb of the same noun."


class AlreadyExists(UsageProblem, code="MIR-107", exit_status=1, http_status=409):
    """There is one of that name already."""

    remedy = "Choose another name, or remove the old one first."


class NothingSelected(UsageProblem, code="MIR-108", exit_status=1, http_status=409):
    """There is nothing to sync: no boot source or no selection."""

    remedy = "Add a source (`mirror source add`) and say what to take (`mirror select add`)."


class NameInvalid(UsageProblem, code="MIR-109", http_status=422):
    """A name that can't be used for a source, channel or snapshot."""

    remedy = "Use letters, digits, '.', '_' and '-', beginning with a letter or digit; 64 at most."


class GpgMissing(UsageProblem, code="MIR-110", exit_status=1, http_status=500):
    """GnuPG can't be run."""

    remedy = "Install GnuPG (`apt install gnupg`); `gpg --version` must work for this user."


class BodyInvalid(UsageProblem, code="MIR-111"):
    """A request, or a file of wishes, has a value that can't be used."""

    remedy = "Correct the value; /api/v1/openapi.json says what each field may be."


class PreconditionFailed(UsageProblem, code="MIR-112", exit_status=1, http_status=412):
    """Someone else has changed it since it was read."""

    remedy = "Read it again, and send the change with the new ETag in If-Match."


class NotCancellable(UsageProblem, code="MIR-113", exit_status=1, http_status=409):
    """A job that has ended can't be cancelled."""

    remedy = "Nothing needs to be done; `mirror job show` says how it ended."


class WouldDropTooMuch(UsageProblem, code="MIR-114", exit_status=1, http_status=409):
    """A publish would drop more of what the channel has than the guard allows."""

    remedy = (
        "Look at what would go with `mirror sync --dry-run`. If it is meant: "
        "`mirror sync --accept-drop`."
    )


class ChannelHeld(UsageProblem, code="MIR-115", exit_status=1, http_status=409):
    """The channel is pinned to a snapshot: nothing else is published on it."""

    remedy = "Release it with `mirror channel unpin CHANNEL`."


class VersionNotHere(UsageProblem, code="MIR-116", exit_status=1, http_status=404):
    """No snapshot has the version that was asked for."""

    remedy = "`mirror snapshot show` lists the versions of a snapshot."


class SelectionInvalid(UsageProblem, code="MIR-117"):
    """A selection that asks for nothing in particular, or for what can't be."""

    remedy = "Name an os, a release or a filter; `mirror select available` lists what there is."


class WindowInvalid(UsageProblem, code="MIR-126"):
    """A window of time in the schedule can't be read."""

    remedy = (
        "Write it as [DAYS] [HH:MM-HH:MM] in local time: 'mon-fri 22:00-06:00', '22:00-06:00', "
        "'sat,sun'. Days are mon, tue, wed, thu, fri, sat and sun; a time may go past midnight."
    )


class ScheduleInvalid(UsageProblem, code="MIR-127"):
    """The schedule has values with which it could never run."""

    remedy = "See `mirror schedule show`; change it with `mirror schedule set`."


class SourceInvalid(UsageProblem, code="MIR-120"):
    """A boot source has a value that can't be used."""

    remedy = "Correct the value that is named; docs/boot-sources.md says what each may be."


class CredentialsInUrl(SourceInvalid, code="MIR-121"):
    """A URL carries a user name or a password: it would be shown, logged and stored with it."""

    remedy = (
        "Give the URL without them, --username NAME and --password-file FILE (for a proxy: "
        "--proxy-username and --proxy-password-file)."
    )


class DefaultKeyringMissing(UsageProblem, code="MIR-122", exit_status=1):
    """The keyring of a source that a plugin suggests is not on this machine."""

    remedy = "Install the package that has it, or give another with --keyring FILE."


class ChannelNeeded(UsageProblem, code="MIR-130", exit_status=1, http_status=409):
    """The channel that syncs publish to can't be removed: the next sync would make it again."""

    remedy = "Let syncs publish to another channel first: `channel` in [sync] of mirror.toml."


class PinAmbiguous(UsageProblem, code="MIR-131", exit_status=1, http_status=409):
    """The channel has several pins, and it was not said which to remove."""

    remedy = "Give the number of the pin: `mirror channel unpin CHANNEL NUMBER`."


class NoManifest(UsageProblem, code="MIR-132", exit_status=1, http_status=404):
    """Nobody can say which packages are in a version."""

    remedy = (
        "Only images whose plugin lists packages can be compared by them; bootloaders have none. "
        "See `mirror plugin list`."
    )


class ProductAmbiguous(UsageProblem, code="MIR-133", exit_status=1, http_status=409):
    """Several products are meant by what should name one."""

    remedy = "Give the whole name of the product, as `mirror snapshot show` lists it."


class WishesInvalid(UsageProblem, code="MIR-140", http_status=422):
    """A file for `mirror apply` says something that can't be."""

    remedy = "Correct what is named; nothing was changed. `mirror export` writes such a file."


class ApplyIncomplete(UsageProblem, code="MIR-141", exit_status=1):
    """A change of several failed: those before it were made, those after it were not."""

    remedy = "Mend what is named, and apply the file again: what was done is not done twice."


class NotConfirmed(UsageProblem, code="MIR-142"):
    """There are changes to make, and nobody to ask about them."""

    remedy = "Look at the changes, and give --yes to make them, or --dry-run to only see them."

"""Who may do what: MIR-8xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


class AccessDenied(MirrorError, code="MIR-800", http_status=403):
    """What was asked for is not allowed."""

    remedy = "Use a token whose role allows it; `mirror token list` shows the roles."


class TokenRequired(AccessDenied, code="MIR-801", http_status=401):
    """There is no token, or none that is known, with a request that needs one."""

    remedy = (
        "Make one with `mirror token create` on the mirror's machine and send it as a Bearer or "
        "Basic password, or put /t/TOKEN before the path."
    )


class RoleInsufficient(AccessDenied, code="MIR-802"):
    """The token is good, and its role does not allow this."""


class ChannelNotAllowed(AccessDenied, code="MIR-803"):
    """The token is good, and limited to other channels."""

    remedy = "Use a token for that channel, or one that is not limited to channels."


class TooManyAttempts(AccessDenied, code="MIR-804", http_status=429):
    """Too many wrong tokens came from one address."""

    remedy = "Wait a minute, then try again with the right token."

    def __init__(self, what: str, *, retry_after: float = 60.0) -> None:
        super().__init__(what)
        self.retry_after = retry_after
        """Seconds."""


class CrossOrigin(AccessDenied, code="MIR-805"):
    """A page of another site asked, through a person's browser, for something to be changed."""

    remedy = (
        "Send such a request from a program, or from a page of this mirror; a proxy before it must "
        "pass the Host header on."
    )


class LicenceNotHeld(AccessDenied, code="MIR-806"):
    """A token was to be given a licence that the one who asks for it has not."""

    remedy = (
        "Make it on the mirror's machine (`mirror token create --licence ...`), or with a token "
        "that has the licence."
    )


class DownloadNotRecorded(MirrorError, code="MIR-807", http_status=503):
    """An image that is not free was asked for, and the audit log could not be written."""

    remedy = "Try again in a moment; on the mirror's machine, `mirror doctor` says what is wrong."

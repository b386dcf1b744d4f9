"""tokens: who may use the mirror, and for what."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mirror.access.rights import Right
from mirror.errors import LicenceNotHeld, NameInvalid
from mirror.model import Role, Token
from mirror.server.api.inputs import Licences, Moment, Name, Paged, matching
from mirror.server.api.pages import Page, page
from mirror.server.api.route import Call, Route
from mirror.service.tokens import NewToken

TAG = "tokens"


class ById(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which token, by its id."""

    id: Name


class TokenWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new token: whose it is, what it may do, in which channels (none: in all), until when.

    `licences` can only be some of those that the token has which this is asked for with.
    """

    name: Annotated[str, matching("[!-~](?:[ -~]*[!-~])?", min_length=1, max_length=64)]
    role: Role
    channels: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    licences: Licences = ()
    expires: Moment | None = None


def list_(call: Call) -> Page[Token]:
    """Return the tokens."""
    return page(call.mirror.tokens.list(), lambda token: token.id, call.query)


def show(call: Call) -> Token:
    """Return one."""
    return call.mirror.catalog.tokens.get(call.where.id)


def create(call: Call) -> NewToken:
    """Make one."""
    wanted: TokenWanted = call.body
    beyond = sorted(set(wanted.licences).difference(call.principal.licences))
    if beyond:
        raise LicenceNotHeld(f"the token that asks has no licence for {' or '.join(beyond)} images")
    return call.mirror.tokens.create(
        wanted.name,
        wanted.role,
        wanted.channels,
        wanted.expires,
        licences=wanted.licences,
        by=call.by,
    )


def revoke(call: Call) -> None:
    """Make one useless."""
    call.mirror.tokens.revoke(call.where.id, by=call.by)


ROUTES = (
    Route(
        method="GET",
        path="/tokens",
        right=Right.ADMINISTER,
        handler=list_,
        summary="List the tokens, the oldest first; never their secrets.",
        tag=TAG,
        query=Paged,
        returns=Page[Token],
    ),
    Route(
        method="POST",
        path="/tokens",
        right=Right.ADMINISTER,
        handler=create,
        summary="Make a token. Its secret is in this answer, and can't be had again.",
        tag=TAG,
        body=TokenWanted,
        returns=NewToken,
        status=201,
        location=lambda new: f"/tokens/{new.token.id}",
        errors=(NameInvalid, LicenceNotHeld),
    ),
    Route(
        method="GET",
        path="/tokens/{id}",
        right=Right.ADMINISTER,
        handler=show,
        summary="Show a token, without its secret.",
        tag=TAG,
        where=ById,
        returns=Token,
    ),
    Route(
        method="DELETE",
        path="/tokens/{id}",
        right=Right.ADMINISTER,
        handler=revoke,
        summary="Revoke a token, for good; it stays in the list.",
        tag=TAG,
        where=ById,
        status=204,
        current=show,
    ),
)

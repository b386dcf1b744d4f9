from __future__ import annotations

import pytest

from mirror.access.rights import Right, allows
from mirror.errors import ChannelNotAllowed, RoleInsufficient, TokenRequired
from mirror.model import Role
from mirror.server.access import Principal, require

IMAGES, REPORT, UPLOAD = Right.READ_IMAGES, Right.REPORT, Right.UPLOAD
STATE, OPERATE, ADMINISTER = Right.READ_STATE, Right.OPERATE, Right.ADMINISTER

MAY = {
    Role.READER: {IMAGES},
    Role.RACK: {IMAGES, REPORT},
    Role.UPLOADER: {IMAGES, UPLOAD},
    Role.OPERATOR: {IMAGES, REPORT, UPLOAD, STATE, OPERATE},
    Role.ADMIN: {IMAGES, REPORT, UPLOAD, STATE, OPERATE, ADMINISTER},
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("right", Right)
def test_a_role_has_the_rights_of_the_table_and_no_others(role, right):
    assert allows(role, right) == (right in MAY[role])
    someone = Principal("x", role)
    if right in MAY[role]:
        assert require(someone, right, channel="any") is someone
    else:
        with pytest.raises(RoleInsufficient):
            require(someone, right)


@pytest.mark.parametrize("right", Right)
def test_nobody_may_do_nothing(right):
    with pytest.raises(TokenRequired):
        require(None, right)


def test_a_token_for_channels_is_for_no_other():
    someone = Principal("x", Role.OPERATOR, ("site-a", "site-b"))
    for right in (OPERATE, STATE, IMAGES):
        assert require(someone, right, channel="site-b") is someone
        with pytest.raises(ChannelNotAllowed):
            require(someone, right, channel="stable")
        with pytest.raises(ChannelNotAllowed):
            require(someone, right, channel="")


@pytest.mark.parametrize("right", [OPERATE, UPLOAD, ADMINISTER])
def test_a_token_for_channels_changes_nothing_that_is_everyones(right):
    with pytest.raises(ChannelNotAllowed):
        require(Principal("x", Role.ADMIN, ("site-a",)), right)


def test_a_token_for_channels_sees_the_state():
    assert require(Principal("x", Role.OPERATOR, ("site-a",)), STATE)

"""Scopes and accounts as people type them."""

import pytest

from bots.options import account_fault, scope_fault


@pytest.mark.parametrize(
    "scope", ["console:local:user:me", "discord:77:channel:901", "a:b:thread:1.2", "a:b%3A:user:c"]
)
def test_a_scope_has_four_parts(scope: str):
    """Platform, workspace, kind and id."""
    assert "" == scope_fault(scope)


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "me",
        "a:b:c",
        "a:b:c:d:e",
        "a::user:c",
        "a:b:user:c d",
        "a:b:user:c|d",
        "a:b/c:user:d",
        "a:b:user:\n",
        7,
        None,
    ],
)
def test_anything_else_is_no_scope(scope: object):
    """Too few or too many parts, empty ones, and characters that have a meaning in our keys."""
    assert "expected platform:workspace:kind:id" in scope_fault(scope)


def test_an_account_has_two_parts():
    """Platform and id."""
    assert ("", "") == (account_fault("console:local"), account_fault("discord:1234"))
    assert all("expected platform:id" in account_fault(wrong) for wrong in ("console", "a:b:c", "", None))

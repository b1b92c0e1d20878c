"""What a command says on a terminal holds nothing that a terminal obeys."""

from __future__ import annotations

import pytest

from cardshop.command.output import tell_error
from cardshop.contract.errors import InvalidInput


def test_a_card_that_is_forged_can_t_paint_its_own_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    tell_error(InvalidInput("The image \x1b[2K\x1b[32mGOOD\x07 is bad.", hint="Zim\u202e\n"), as_json=False)

    told = capsys.readouterr().err
    assert "GOOD" in told
    assert not {"\x1b", "\x07", "\u202e"} & set(told)

"""The example deployment: valid as it stands, a picture of the whole state, and with cases for every agreement."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.load import Catalogue, load
from schemas.model import Agreement, Classification, channel
from schemas.release_rules import RULES
from schemas.validate import validate

FOLDER = Path(__file__).parents[2] / "schemas" / "catalogue"
IDS = sorted(path.stem for path in (FOLDER / "agreements").glob("*.yaml") if not path.stem.endswith(".cases"))
STATISTICS = "bps.vital-statistics"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load(FOLDER)[0]


def cases_of(agreement: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = yaml.safe_load((FOLDER / "agreements" / f"{agreement}.cases.yaml").read_text())
    return cases


def outcome(case: dict[str, Any]) -> str:
    expected = case["expect"]
    return str(next(iter(expected)) if isinstance(expected, dict) else expected)


def channels(catalogue: Catalogue) -> set[str]:
    def kind(system: str) -> Any:
        agency, _, name = system.partition(".")
        return catalogue.agencies[agency].systems[name].kind

    return {
        channel(kind(catalogue.event_types[agreement.event_type].publishers[0]), kind(agreement.consumer))
        for agreement in catalogue.agreements.values()
    }


def test_it_has_no_problem() -> None:
    found, problems = load(FOLDER)
    assert problems + validate(found, today=dt.date(2026, 11, 24)) == []


def test_it_is_as_large_as_promised_and_uses_every_channel(catalogue: Catalogue) -> None:
    assert len(catalogue.agencies) >= 12
    assert len(catalogue.event_types) >= 14
    assert len(catalogue.agreements) >= 24
    assert channels(catalogue) >= {"G2G", "G2B", "G2C", "G2E", "B2G"}


def test_every_release_rule_is_used(catalogue: Catalogue) -> None:
    used = {rule.name for agreement in catalogue.agreements.values() for rule in agreement.release.values()}
    assert used == set(RULES)


@pytest.mark.parametrize("agreement", IDS)
def test_every_agreement_has_a_case_of_each_way_it_can_end(agreement: str, catalogue: Catalogue) -> None:
    contract: Agreement = catalogue.agreements[agreement]
    outcomes = {outcome(case) for case in cases_of(agreement)}
    assert ("not_in_force" if contract.suspended else "released") in outcomes
    assert contract.when is None or "filtered" in outcomes
    dead = {case["expect"]["dead"] for case in cases_of(agreement) if outcome(case) == "dead"}
    assert dead == set(contract.require)


def test_the_statistics_see_provinces_and_days_only(catalogue: Catalogue) -> None:
    found = [agreement for agreement in catalogue.agreements.values() if agreement.consumer == STATISTICS]
    assert len(found) == 3
    for agreement in found:
        kept = {path for path, rule in agreement.release.items() if rule.name == "keep"}
        assert kept <= {"province", "from_province", "to_province"}
        assert set(agreement.release) - kept == {"registered_at"}
        assert agreement.envelope == {}


def test_whoever_is_given_personal_data_in_clear_is_said_to_be(catalogue: Catalogue) -> None:
    for agreement in catalogue.agreements.values():
        if agreement.personal_data_in_clear:
            assert catalogue.event_types[agreement.event_type].classification is Classification.PERSONAL
